// All cameras, side by side.

import { el, say } from "./dom.js";
import { OLD_S, Stage } from "./stage.js";
import { duration, number, t } from "./texts.js";

const SHOWN = { boxes: true, names: false, trails: false, zones: false, lines: false };

/** The grid; see VIEWS in app.js. */
export function mountGrid(root, { pictures, streams }) {
  const tiles = new Map();
  const title = el("h1", {}, t("app.cameras"));
  const summary = el("p", { class: "soft" });
  const grid = el("div", { class: "grid" });
  const none = el("div", { class: "empty", hidden: true }, el("h2", {}, t("grid.none")), el("p", {}, t("grid.none.note")));
  root.append(el("div", { class: "heading" }, title, summary), grid, none);

  const update = () => {
    const names = new Set(streams.list.map((stream) => stream.name));
    for (const [name, tile] of tiles) {
      if (names.has(name)) continue;
      tile.close();
      tiles.delete(name);
    }
    for (const stream of streams.list) {
      if (!tiles.has(stream.name)) {
        const tile = new CameraTile(pictures, stream);
        tiles.set(stream.name, tile);
        grid.append(tile.element);
      }
      tiles.get(stream.name).update(stream);
    }
    grid.dataset.count = names.size;
    none.hidden = !streams.loaded || names.size > 0;
    const online = streams.list.filter((stream) => stream.state === "online").length;
    say(summary, names.size ? t("grid.online", { online, all: names.size }) : "");
  };
  streams.addEventListener("change", update);
  const timer = setInterval(() => tiles.forEach((tile) => tile.age()), 500);
  update();
  return () => {
    streams.removeEventListener("change", update);
    clearInterval(timer);
    tiles.forEach((tile) => tile.close());
  };
}

/** What a stream's state is called, and why it is so. */
export function stateText(stream) {
  return stream.frozen && stream.state === "online" ? t("state.frozen") : t(`state.${stream.state}`);
}

/** A stream's rate, latency and drops; while it is away, why. */
export function figures(stream) {
  if (stream.state !== "online") return (stream.reason ?? "").replace(`${stream.source}: `, "");
  const told = [t("grid.fps", { fps: number(stream.fps, 1) })];
  if (stream.live) told.push(t("grid.latency", { ms: Math.round(stream.latency_ms) }));
  if (stream.dropped) told.push(t("grid.dropped", { count: stream.dropped }));
  return told.join(" · ");
}

/** Marks a stage's screen where its picture is old, and says so on the badge; what has ended can't be late. */
export function markAge(screen, badge, stage, stream) {
  const age = stage.age(stream?.live);
  const old = age !== null && age > OLD_S && !["ended", "disabled"].includes(stream?.state);
  screen.classList.toggle("old", old);
  screen.classList.toggle("blank", age === null);
  say(badge, age === null ? t("grid.waiting") : old ? t("grid.old", { age: duration(age) }) : "");
}

class CameraTile {
  constructor(pictures, stream) {
    this.stage = new Stage(pictures, stream.name, SHOWN, t("camera.picture", { name: stream.name }));
    this.stage.expect(stream.width || 16, stream.height || 9);
    this.badge = el("span", { class: "badge over" });
    this.dot = el("i", { class: "dot" });
    this.state = el("span", { class: "state" });
    this.figures = el("span", { class: "figures" });
    this.objects = el("span", { class: "soft" });
    this.element = el("a", { class: "tile", href: `#/camera/${encodeURIComponent(stream.name)}`, "aria-label": t("grid.open", { name: stream.name }) },
      el("div", { class: "screen" }, this.stage.element, this.badge),
      el("div", { class: "caption" },
        el("strong", {}, stream.name),
        el("span", { class: "status" }, this.dot, this.state),
        this.figures,
        this.objects,
      ),
    );
  }

  update(stream) {
    this.stream = stream;
    this.element.dataset.state = stream.frozen ? "reconnecting" : stream.state;
    say(this.state, stateText(stream));
    say(this.figures, figures(stream));
    this.figures.title = this.figures.textContent;
    say(this.objects, stream.state === "online" ? t("grid.objects", { count: stream.objects }) : "");
    this.age();
  }

  /** Marks a picture that is old, and says how old it is. */
  age() {
    markAge(this.element, this.badge, this.stage, this.stream);
  }

  close() {
    this.stage.close();
    this.element.remove();
  }
}
