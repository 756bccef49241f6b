// Drawing zones and lines on a picture, with a mouse, a finger or the keyboard.

import { shapeColor } from "./colors.js";
import { clamped, drawCross, drawDraft, drawHandles, isInside, middles, moved, nearest, percent } from "./corners.js";
import { freeName } from "./shapes.js";
import { t } from "./texts.js";

const REACH = { mouse: 10, pen: 14, touch: 24 };
const STEP = 0.01;
const FINE_STEP = 0.002;

/** The editor of a stage's shapes. Fires `change` when a shape, or what is chosen, is another. */
export class ShapeEditor extends EventTarget {
  selected = -1;
  corner = -1;
  drawing = null; // the shape that is being drawn
  #cursor = [0.5, 0.5];
  #keyboard = false;
  #dragged = null; // what moves with the pointer: (point) => void
  #listeners = new AbortController();

  /**
   * @param {Stage} stage whose `shapes` are edited.
   * @param {(text: string) => void} announce says what happened to who can't see it.
   */
  constructor(stage, announce) {
    super();
    this.stage = stage;
    this.announce = announce;
    const { overlay } = stage;
    overlay.tabIndex = 0;
    overlay.setAttribute("role", "application");
    overlay.setAttribute("aria-label", t("edit.picture"));
    overlay.classList.add("editing");
    stage.extra = (context, size) => this.#draw(context, size);
    const on = { signal: this.#listeners.signal };
    overlay.addEventListener("pointerdown", (event) => this.#press(event), on);
    overlay.addEventListener("pointermove", (event) => this.#move(event), on);
    overlay.addEventListener("pointerup", () => this.#release(), on);
    overlay.addEventListener("pointercancel", () => this.#release(), on);
    overlay.addEventListener("dblclick", (event) => this.#double(event), on);
    overlay.addEventListener("keydown", (event) => this.#key(event), on);
    overlay.addEventListener("blur", () => this.#showCursor(false), on);
  }

  /** Ends editing. */
  close() {
    const { overlay } = this.stage;
    this.#listeners.abort();
    overlay.classList.remove("editing");
    overlay.removeAttribute("tabindex");
    overlay.removeAttribute("role");
    overlay.removeAttribute("aria-label");
    this.stage.extra = null;
    this.stage.redraw();
  }

  get shape() {
    return this.stage.shapes[this.selected] ?? null;
  }

  /** Begins a new shape; corners follow. */
  begin(kind) {
    this.drawing = { kind, name: freeName(kind, this.stage.shapes), points: [], config: { units: "fraction" } };
    this.select(-1);
    this.stage.overlay.focus();
  }

  /** Ends drawing; a shape that has too few corners is given up. */
  finish() {
    const shape = this.drawing;
    this.drawing = null;
    if (shape && shape.points.length >= (shape.kind === "zone" ? 3 : 2)) {
      this.stage.shapes.push(shape);
      this.select(this.stage.shapes.length - 1);
    } else if (shape?.points.length) {
      this.announce(t("edit.few"));
    }
    this.#changed();
  }

  cancel() {
    this.drawing = null;
    this.#changed();
  }

  select(index) {
    this.selected = index;
    this.corner = -1;
    this.#changed();
  }

  /** Lets the chosen line, or one that is given, count the other way round. */
  turn(shape = this.shape) {
    shape.points.reverse();
    this.#changed();
  }

  remove(index) {
    this.stage.shapes.splice(index, 1);
    this.select(-1);
  }

  removeCorner(index) {
    const { shape } = this;
    if (shape?.kind !== "zone" || index < 0 || shape.points.length <= 3) return;
    shape.points.splice(index, 1);
    this.corner = Math.min(index, shape.points.length - 1);
    this.#changed();
  }

  #changed() {
    this.stage.redraw();
    this.dispatchEvent(new Event("change"));
  }

  // With a pointer.

  #press(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    const { overlay } = this.stage;
    overlay.focus();
    overlay.setPointerCapture(event.pointerId);
    this.#keyboard = false;
    const at = this.#at(event);
    const reach = REACH[event.pointerType] ?? REACH.mouse;
    if (this.drawing) this.#place(at, reach);
    else this.#grab(at, reach);
  }

  #move(event) {
    const at = this.#at(event);
    if (this.#dragged) {
      this.#dragged(at);
      this.#changed();
    } else if (this.drawing) {
      this.#cursor = at;
      this.stage.redraw();
    }
  }

  #release() {
    this.#dragged = null;
  }

  #double(event) {
    if (!this.drawing && this.shape) this.removeCorner(this.#near(this.shape.points, this.#at(event), REACH.mouse));
  }

  /** Sets a corner of the shape that is being drawn. */
  #place(at, reach) {
    const { kind, points } = this.drawing;
    if (kind === "zone" && points.length >= 3 && this.#near([points[0]], at, reach) === 0) {
      this.finish();
      return;
    }
    points.push(at);
    if (kind === "line" && points.length === 2) this.finish();
    else this.#changed();
  }

  /** Takes what is under the pointer: a corner, the middle of an edge, or a whole shape. */
  #grab(at, reach) {
    const { shape } = this;
    if (shape) {
      const corner = this.#near(shape.points, at, reach);
      if (corner >= 0) return this.#drag(shape, corner);
      const edge = this.#near(middles(shape), at, reach);
      if (edge >= 0) {
        shape.points.splice(edge + 1, 0, at);
        return this.#drag(shape, edge + 1);
      }
    }
    const { shapes } = this.stage;
    const index = shapes.findIndex(({ points }) => this.#near(points, at, reach) >= 0);
    const found = index >= 0 ? index : shapes.findLastIndex((each) => isInside(each, at, reach, this.stage.size));
    this.select(found);
    if (found < 0) return undefined;
    let last = at;
    this.#dragged = (now) => {
      shapes[found].points = moved(shapes[found].points, now[0] - last[0], now[1] - last[1]);
      last = now;
    };
    return undefined;
  }

  #drag(shape, corner) {
    this.corner = corner;
    this.#dragged = (at) => {
      shape.points[corner] = at;
    };
    this.#changed();
  }

  /** Where an event happened, in fractions of the picture. */
  #at(event) {
    const area = this.stage.overlay.getBoundingClientRect();
    return clamped((event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height);
  }

  #near(points, at, reach) {
    return nearest(points, at, reach, this.stage.size);
  }

  // With the keyboard.

  #key(event) {
    const handler = {
      ArrowLeft: () => this.#step(-1, 0, event.shiftKey),
      ArrowRight: () => this.#step(1, 0, event.shiftKey),
      ArrowUp: () => this.#step(0, -1, event.shiftKey),
      ArrowDown: () => this.#step(0, 1, event.shiftKey),
      " ": () => this.drawing && this.#place([...this.#cursor], 0),
      Enter: () => this.drawing && this.finish(),
      Escape: () => (this.drawing ? this.cancel() : this.select(-1)),
      Delete: () => this.removeCorner(this.corner),
      Backspace: () => (this.drawing ? this.#takeBack() : this.removeCorner(this.corner)),
      n: () => this.#nextCorner(1),
      p: () => this.#nextCorner(-1),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!handler || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    handler();
  }

  /** Moves the chosen corner, or the cross. */
  #step(x, y, fine) {
    const step = fine ? FINE_STEP : STEP;
    const chosen = this.shape?.points[this.corner];
    const [left, top] = this.drawing || !chosen ? this.#cursor : chosen;
    const to = clamped(left + step * x, top + step * y);
    if (this.drawing || !chosen) {
      this.#cursor = to;
      this.#showCursor(true);
      this.announce(t("edit.cursor", percent(to)));
    } else {
      this.shape.points[this.corner] = to;
      this.#tellCorner();
      this.#changed();
    }
  }

  #takeBack() {
    this.drawing.points.pop();
    this.#changed();
  }

  #nextCorner(by) {
    const { shapes } = this.stage;
    if (!shapes.length || this.drawing) return;
    if (!this.shape) this.selected = 0;
    const count = this.shape.points.length;
    this.corner = this.corner < 0 ? (by > 0 ? 0 : count - 1) : (this.corner + by + count) % count;
    this.#tellCorner();
    this.#changed();
  }

  #tellCorner() {
    const { points } = this.shape;
    this.announce(t("edit.corner", { number: this.corner + 1, count: points.length, ...percent(points[this.corner]) }));
  }

  #showCursor(shown) {
    this.#keyboard = shown;
    this.stage.redraw();
  }

  // What is drawn over all else.

  #draw(context, size) {
    const { shapes } = this.stage;
    if (this.drawing) drawDraft(context, size, this.drawing.points, this.#cursor, shapeColor(shapes.length));
    else if (this.shape) drawHandles(context, size, this.shape, this.corner, shapeColor(this.selected));
    if (this.#keyboard && (this.drawing || this.corner < 0)) drawCross(context, size, this.#cursor);
  }
}
