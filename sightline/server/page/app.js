// The page: who looks, where they are, and the frame around it.

import { get, lost, remove } from "./api.js";
import { mountCamera } from "./camera.js";
import { mountCounts } from "./counts.js";
import { button, choice, el } from "./dom.js";
import { mountEvents } from "./events.js";
import { mountGrid } from "./grid.js";
import { mountHealth } from "./health.js";
import { LivePictures } from "./live.js";
import { showLogin } from "./login.js";
import { applyTheme, choose, setting } from "./settings.js";
import { Streams } from "./streams.js";
import { applyLanguage, chooseLanguage, currentLanguage, LANGUAGES, t } from "./texts.js";

// Each mounts itself into a node and returns what takes it away again.
const VIEWS = { cameras: mountGrid, camera: mountCamera, counts: mountCounts, events: mountEvents, health: mountHealth };
const TABS = ["cameras", "counts", "events", "health"];

const pictures = new LivePictures();
const streams = new Streams(pictures);
let session = { role: null, login: false };
let unmount = () => {};
const nolink = el("p", { class: "nolink", role: "status", hidden: true });

/** The view and its argument that the address names: `#/camera/door`, `#/events?type=line.crossed`. */
function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, argument = ""] = path.split("/");
  let name = argument;
  try {
    name = decodeURIComponent(argument);
  } catch {
    // Not what this page wrote: taken as it is.
  }
  return { view: Object.hasOwn(VIEWS, view) ? view : "cameras", argument: name, query: new URLSearchParams(query) };
}

function frame() {
  const { view } = place();
  const links = TABS.map((tab) => {
    const here = tab === view || (tab === "cameras" && view === "camera");
    return el("a", { href: `#/${tab}`, "aria-current": here ? "page" : null }, t(`app.${tab}`));
  });
  const themes = ["auto", "light", "dark"].map((theme) => [theme, t(`app.theme.${theme}`)]);
  const tools = el("div", { class: "tools" },
    session.role === "read" && el("span", { class: "badge" }, t("app.readonly")),
    choice(t("app.language"), LANGUAGES, currentLanguage(), (tag) => {
      chooseLanguage(tag);
      render();
    }),
    choice(t("app.theme"), themes, setting("theme"), (theme) => {
      choose("theme", theme);
      applyTheme();
    }),
    session.login && button(t("app.logout"), logout, { class: "quiet" }),
  );
  const main = el("main", { id: "main", tabindex: "-1" });
  nolink.textContent = t("app.nolink");
  document.body.replaceChildren(
    el("a", { class: "skip", href: "#main", on: { click: (event) => { event.preventDefault(); main.focus(); } } }, t("app.skip")),
    el("header", { class: "top" },
      el("a", { class: "brand", href: "#/cameras" }, el("img", { src: "/page/icon.svg", alt: "", width: 22, height: 22 }), "Sightline"),
      el("nav", { "aria-label": "Sightline" }, links),
      tools,
    ),
    nolink,
    main,
  );
  return main;
}

/** Shows the view that the address names. */
function render() {
  unmount();
  const { view, argument, query } = place();
  const main = frame();
  unmount = VIEWS[view](main, { pictures, streams, argument, query, admin: session.role === "admin" });
}

async function logout() {
  await remove("/api/session");
  location.reload();
}

async function start() {
  applyTheme();
  applyLanguage();
  session = await get("/api/session");
  if (session.login && session.role === null) session = await showLogin();
  lost.addEventListener("lost", () => location.reload(), { once: true });
  pictures.addEventListener("link", ({ detail }) => {
    nolink.hidden = detail;
  });
  pictures.open();
  await streams.start();
  addEventListener("hashchange", render);
  render();
}

start();
