// What somebody has chosen on this page, kept in this browser.

const KEY = "sightline";

function stored() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // kept out by the browser, or written by somebody else: what is usual then
  }
}

const chosen = { language: null, theme: "auto", overlays: {}, ...stored() };

/** One choice. */
export function setting(name) {
  return chosen[name];
}

/** Makes a choice. */
export function choose(name, value) {
  chosen[name] = value;
  try {
    localStorage.setItem(KEY, JSON.stringify(chosen));
  } catch {
    // A browser that keeps nothing still shows what was chosen until the page is closed.
  }
}

/** Shows the page light or dark, as chosen or as the system is. */
export function applyTheme() {
  const theme = setting("theme");
  if (theme === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", theme);
}
