// Making elements. Text is only ever set as text, so what streams, zones and classes are called can do nothing.

const PROPERTIES = new Set(["value", "checked", "disabled", "selected"]);

/**
 * Makes an HTML element.
 * @param {string} tag
 * @param {object} settings attributes; `on` has listeners by event, `class` the class names, and null leaves one out.
 * @param {...(Node|string|null|false|Array)} children strings become text; arrays, of arrays even, are taken apart.
 */
export function el(tag, settings = {}, ...children) {
  return fill(document.createElement(tag), settings, children);
}

/** Makes an SVG element, as `el` does. */
export function svg(tag, settings = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), settings, children);
}

function fill(node, settings, children) {
  for (const [name, value] of Object.entries(settings)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (PROPERTIES.has(name)) {
      node[name] = value;
    } else {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Sets a node's text, where it is another: what a screen reader was told is not told again. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A button. */
export function button(text, click, settings = {}) {
  return el("button", { type: "button", ...settings, on: { click } }, text);
}

/** A row of buttons of which one is chosen. */
export function choice(label, options, chosen, choose) {
  const buttons = options.map(([value, text]) =>
    button(text, () => {
      for (const [index, [each]] of options.entries()) buttons[index].setAttribute("aria-pressed", each === value);
      choose(value);
    }, { "aria-pressed": String(value === chosen) }),
  );
  return el("div", { class: "choice", role: "group", "aria-label": label }, buttons);
}

/** A labelled form field; `input` is its control, `note` says more. */
export function field(label, input, note = null) {
  return el("label", { class: "field" }, el("span", {}, label), input, note && el("small", {}, note));
}
