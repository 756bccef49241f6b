// Drawing zones and lines on a picture, with a mouse, a finger or the keyboard.

import { shapeColor } from "./colors.js";
import { outline, trace } from "./overlay.js";
import { freeName } from "./shapes.js";
import { number, t } from "./texts.js";

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
    const found = index >= 0 ? index : shapes.findLastIndex((each) => this.#inside(each, at, reach));
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

  /** Which of the points is nearest, if it is within reach in pixels; else -1. */
  #near(points, at, reach) {
    const { width, height } = this.stage.size;
    const distances = points.map(([x, y]) => Math.hypot((x - at[0]) * width, (y - at[1]) * height));
    const nearest = distances.indexOf(Math.min(...distances));
    return nearest >= 0 && distances[nearest] <= reach ? nearest : -1;
  }

  #inside({ kind, points }, at, reach) {
    const { width, height } = this.stage.size;
    const path = new Path2D();
    for (const [x, y] of points) path.lineTo(x * width, y * height);
    const context = document.createElement("canvas").getContext("2d");
    context.lineWidth = 2 * reach;
    const place = [at[0] * width, at[1] * height];
    return kind === "zone" ? context.isPointInPath(path, ...place) : context.isPointInStroke(path, ...place);
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
    if (this.drawing) this.#drawDraft(context, size, shapeColor(shapes.length));
    else if (this.shape) this.#drawHandles(context, size, this.shape, shapeColor(this.selected));
    if (this.#keyboard && (this.drawing || this.corner < 0)) this.#drawCross(context, size);
  }

  #drawDraft(context, size, color) {
    const { points } = this.drawing;
    trace(context, size, points.length ? [...points, this.#cursor] : []);
    context.setLineDash([6, 4]);
    outline(context, color);
    context.setLineDash([]);
    points.forEach((point, index) => dot(context, size, point, index === 0 ? 7 : 5, color, index === 0));
  }

  #drawHandles(context, size, shape, color) {
    for (const point of middles(shape)) dot(context, size, point, 3.5, color, false);
    shape.points.forEach((point, index) => dot(context, size, point, index === this.corner ? 8 : 6, color, index === this.corner));
  }

  #drawCross(context, size) {
    const [x, y] = [this.#cursor[0] * size.width, this.#cursor[1] * size.height];
    context.beginPath();
    context.moveTo(x - 12, y);
    context.lineTo(x + 12, y);
    context.moveTo(x, y - 12);
    context.lineTo(x, y + 12);
    outline(context, "#fff");
  }
}

/** The middles of a zone's edges; a line's can't be bent. */
function middles({ kind, points }) {
  if (kind !== "zone") return [];
  return points.map(([x, y], index) => {
    const next = points[(index + 1) % points.length];
    return [(x + next[0]) / 2, (y + next[1]) / 2];
  });
}

/** Points moved together, but not out of the picture. */
function moved(points, x, y) {
  const limited = (by, axis) => {
    const values = points.map((point) => point[axis]);
    return Math.min(Math.max(by, -Math.min(...values)), 1 - Math.max(...values));
  };
  const [right, down] = [limited(x, 0), limited(y, 1)];
  return points.map((point) => [point[0] + right, point[1] + down]);
}

function clamped(x, y) {
  return [Math.min(1, Math.max(0, x)), Math.min(1, Math.max(0, y))];
}

function percent([x, y]) {
  return { x: number(100 * x, 1), y: number(100 * y, 1) };
}

function dot(context, size, [x, y], radius, color, filled) {
  context.beginPath();
  context.arc(x * size.width, y * size.height, radius, 0, 2 * Math.PI);
  context.fillStyle = filled ? color : "#fff";
  context.fill();
  outline(context, filled ? "#fff" : color, 1.5);
}
