// One camera, large: its picture, what is in view, and the editor of its zones and lines.

import { shapeColor } from "./colors.js";
import { button, el, say } from "./dom.js";
import { EditorPanel, swatch } from "./editor_panel.js";
import { EventFeed, loadEvents } from "./event_feed.js";
import { eventRow } from "./event_rows.js";
import { figures, markAge, stateText } from "./grid.js";
import { choose, setting } from "./settings.js";
import { loadShapes } from "./shapes.js";
import { Stage } from "./stage.js";
import { number, t } from "./texts.js";

const OVERLAYS = ["boxes", "names", "trails", "zones", "lines"];
const SHAPES_EVERY_MS = 5000;
const RECENT = 12;
const RECENT_TYPES = ["zone.entered", "zone.left", "line.crossed", "track.started", "stream.offline", "stream.online"];

/** A camera; see VIEWS in app.js. */
export function mountCamera(root, context) {
  const view = new CameraView(root, context);
  return () => view.close();
}

class CameraView {
  #editor = null;
  #listeners = new AbortController();

  constructor(root, { pictures, streams, argument: name, admin }) {
    this.name = name;
    this.streams = streams;
    const shown = { ...Object.fromEntries(OVERLAYS.map((each) => [each, true])), ...setting("overlays") };
    this.stage = new Stage(pictures, name, shown, t("camera.picture", { name }));
    this.badge = el("span", { class: "badge over" });
    this.screen = el("div", { class: "screen large" }, this.stage.element, this.badge);
    this.dot = el("span", { class: "status" }, el("i", { class: "dot" }), (this.state = el("span", {})));
    this.edit = admin && button(t("edit.start"), () => this.#edit());
    this.figures = el("span", { class: "soft" });
    this.now = el("ul", { class: "now" });
    this.recent = el("ol", { class: "events compact" });
    this.quiet = el("p", { class: "soft quiet" }, t("events.quiet"));
    this.switches = this.#switches(shown);
    this.side = el("div", { class: "side" },
      el("section", { class: "card" }, el("h2", {}, t("camera.now")), this.now),
      el("section", { class: "card" }, el("h2", {}, t("camera.recent")), this.recent, this.quiet),
    );
    this.missing = el("p", { class: "empty", hidden: true }, t("camera.unknown", { name }));
    root.append(
      el("div", { class: "heading" },
        el("a", { class: "back", href: "#/cameras", "aria-label": t("camera.back") }, "‹"),
        el("h1", {}, name), this.dot, this.figures, this.edit),
      this.missing,
      el("div", { class: "camera" }, el("div", { class: "main" }, this.screen, this.switches), this.side),
    );
    const on = { signal: this.#listeners.signal };
    streams.addEventListener("change", () => this.#update(), on);
    this.timers = [setInterval(() => this.#age(), 500), setInterval(() => this.#shapes(), SHAPES_EVERY_MS)];
    this.stage.onFrame = ({ tracks }) => this.#inView(tracks);
    this.#update();
    this.#shapes();
    this.#follow();
  }

  close() {
    this.#editor?.close();
    this.#listeners.abort();
    this.timers.forEach(clearInterval);
    this.feed.close();
    this.stage.close();
  }

  get stream() {
    return this.streams.find(this.name);
  }

  /** The stream with the size of its pictures, which those that have ended are only known by. */
  get placed() {
    const { stream, stage: { header } } = this;
    return stream && { ...stream, width: stream.width || header?.source_width, height: stream.height || header?.source_height };
  }

  #switches(shown) {
    const buttons = OVERLAYS.map((each) => {
      const toggle = button(t(`camera.${each}`), () => {
        shown[each] = !shown[each];
        toggle.setAttribute("aria-pressed", String(shown[each]));
        choose("overlays", { ...shown });
        this.stage.redraw();
      }, { "aria-pressed": String(shown[each]), class: "switch" });
      return toggle;
    });
    const full = button(t("camera.full"), () => this.screen.requestFullscreen(), { class: "push" });
    return el("div", { class: "row switches", role: "group", "aria-label": t("camera.shown") }, buttons, document.fullscreenEnabled && full);
  }

  #update() {
    const { stream } = this;
    this.missing.hidden = !this.streams.loaded || stream !== undefined;
    if (!stream) return;
    if (!this.stage.header) this.stage.expect(stream.width, stream.height);
    this.dot.dataset.state = stream.frozen ? "reconnecting" : stream.state;
    say(this.state, stateText(stream));
    const size = stream.width ? `${stream.width} × ${stream.height}` : "";
    say(this.figures, [figures(stream), size].filter(Boolean).join(" · "));
    this.#age();
  }

  #age() {
    markAge(this.screen, this.badge, this.stage, this.stream);
  }

  /** How many of each class there are, and in each zone. */
  #inView(tracks) {
    const classes = new Map();
    for (const track of tracks) classes.set(track.class, (classes.get(track.class) ?? 0) + 1);
    const rows = [...classes].sort(([one], [other]) => one.localeCompare(other)).map(([name, count]) => nowRow(null, name, number(count)));
    for (const [index, shape] of this.stage.shapes.entries()) {
      if (shape.kind !== "zone") continue;
      const inside = tracks.filter((track) => track.zones?.includes(shape.name)).length;
      rows.push(nowRow(swatch(shapeColor(index), "zone"), shape.name, t("camera.inside", { count: inside })));
    }
    const key = JSON.stringify(rows.map((row) => row.textContent));
    if (key === this.nowKey) return;
    this.nowKey = key;
    this.now.replaceChildren(...(rows.length ? rows : [el("li", { class: "soft" }, t("camera.nobody"))]));
  }

  async #shapes() {
    const { placed } = this;
    if (this.#editor || !placed?.width) return;
    const shapes = await loadShapes(placed).catch(() => null); // the next time, perhaps
    if (shapes === null || this.#editor) return;
    this.stage.shapes = shapes;
    this.stage.redraw();
  }

  async #follow() {
    const add = (event) => {
      this.recent.prepend(eventRow(event, { compact: true }));
      while (this.recent.childElementCount > RECENT) this.recent.lastElementChild.remove();
    };
    this.feed = new EventFeed({ stream: this.name, type: RECENT_TYPES }, add);
    const past = loadEvents({ stream: this.name, type: RECENT_TYPES, limit: RECENT });
    const { events } = await past.catch((error) => {
      this.quiet.textContent = t("app.failed", { message: error.message });
      return { events: [] };
    });
    this.recent.append(...events.slice(0, RECENT - this.recent.childElementCount).map((event) => eventRow(event, { compact: true })));
  }

  async #edit() {
    await this.#shapes();
    if (this.#editor || !this.stream) return;
    this.stage.shown = { ...this.stage.shown, zones: true, lines: true, names: false, trails: false };
    this.#editor = new EditorPanel(this.stage, this.placed, () => this.#endEditing());
    this.edit.hidden = this.switches.hidden = true;
    this.side.prepend(this.#editor.element);
    this.#editor.element.scrollIntoView({ block: "nearest" });
  }

  #endEditing() {
    this.#editor.close();
    this.#editor = null;
    this.edit.hidden = this.switches.hidden = false;
    this.stage.shown = { ...this.stage.shown, ...Object.fromEntries(OVERLAYS.map((each) => [each, true])), ...setting("overlays") };
    this.stage.redraw();
    this.edit.focus();
  }
}

function nowRow(mark, name, value) {
  return el("li", {}, mark, el("span", {}, name), el("strong", {}, value));
}
