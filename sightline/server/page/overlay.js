// What is drawn over a picture: boxes, names, trails, zones and lines, each in fractions of the picture.

import { shapeColor, trackColor } from "./colors.js";

const TRAIL_S = 2;
const FONT = '600 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif';

/** Where tracks have been lately. */
export class Trails {
  #points = new Map();

  /** Adds a frame's tracks; what is older than two seconds of the stream is forgotten. */
  add({ pts_s: now, tracks }) {
    for (const { id, box } of tracks) {
      const points = this.#points.get(id) ?? [];
      if (points.length && points.at(-1).at >= now) points.length = 0; // the stream has begun anew
      points.push({ at: now, x: (box[0] + box[2]) / 2, y: box[3] });
      while (points[0].at < now - TRAIL_S) points.shift();
      this.#points.set(id, points);
    }
    for (const [id, points] of this.#points) {
      if (points.at(-1).at < now - TRAIL_S || points.at(-1).at > now) this.#points.delete(id);
    }
  }

  of(id) {
    return this.#points.get(id) ?? [];
  }
}

/**
 * Draws over a picture.
 * @param {CanvasRenderingContext2D} context whose units are CSS pixels.
 * @param {{width: number, height: number}} size of the picture there.
 * @param {object} what `tracks`, `trails`, `shapes` (see shapes.js) and `shown`, which says which of boxes, names,
 *   trails, zones and lines there are.
 */
export function drawOverlay(context, size, { tracks = [], trails, shapes = [], shown }) {
  context.font = FONT;
  context.textBaseline = "middle";
  context.lineJoin = context.lineCap = "round";
  for (const [index, shape] of shapes.entries()) {
    if (shape.kind === "zone" && shown.zones) drawZone(context, size, shape, shapeColor(index), tracks);
    if (shape.kind === "line" && shown.lines) drawLine(context, size, shape, shapeColor(index));
  }
  // Far objects first: what stands lower in the picture is nearer.
  const ordered = [...tracks].sort((one, other) => one.box[3] - other.box[3]);
  if (shown.trails && trails) for (const track of ordered) drawTrail(context, size, trails.of(track.id), track.id);
  if (shown.boxes) for (const track of ordered) drawBox(context, size, track);
  if (shown.names) {
    const taken = [];
    for (const track of ordered.reverse()) drawName(context, size, track, taken);
  }
}

function drawZone(context, size, { name, points }, color, tracks) {
  trace(context, size, points);
  context.closePath();
  context.globalAlpha = 0.14;
  context.fillStyle = color;
  context.fill();
  context.globalAlpha = 1;
  outline(context, color);
  const top = points.reduce((best, point) => (point[1] < best[1] ? point : best), points[0]);
  const inside = tracks.filter((track) => track.zones?.includes(name)).length;
  plate(context, size, inside ? `${name}  ${inside}` : name, top[0] * size.width, top[1] * size.height - 14, color);
}

function drawLine(context, size, { name, points }, color) {
  trace(context, size, points);
  outline(context, color);
  drawArrow(context, size, points, color);
  const [start, end] = points;
  plate(context, size, name, ((start[0] + end[0]) / 2) * size.width, ((start[1] + end[1]) / 2) * size.height - 12, color);
}

/** The arrow of a line, which shows where one goes in: from its left to its right for who walks from start to end. */
export function drawArrow(context, size, [start, end], color) {
  const along = { x: (end[0] - start[0]) * size.width, y: (end[1] - start[1]) * size.height };
  const length = Math.hypot(along.x, along.y);
  if (length < 1) return;
  const inward = { x: -along.y / length, y: along.x / length };
  const [x, y] = [((start[0] + end[0]) / 2) * size.width, ((start[1] + end[1]) / 2) * size.height];
  const tip = { x: x + 26 * inward.x, y: y + 26 * inward.y };
  const side = { x: along.x / length, y: along.y / length };
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(tip.x - 6 * inward.x, tip.y - 6 * inward.y);
  outline(context, color);
  context.beginPath();
  context.moveTo(tip.x, tip.y);
  context.lineTo(tip.x - 10 * inward.x + 6 * side.x, tip.y - 10 * inward.y + 6 * side.y);
  context.lineTo(tip.x - 10 * inward.x - 6 * side.x, tip.y - 10 * inward.y - 6 * side.y);
  context.closePath();
  context.fillStyle = color;
  context.fill();
}

function drawTrail(context, size, points, id) {
  if (points.length < 2) return;
  context.strokeStyle = trackColor(id);
  for (let index = 1; index < points.length; index += 1) {
    const [from, to] = [points[index - 1], points[index]];
    context.globalAlpha = index / points.length;
    context.lineWidth = 1 + (2 * index) / points.length;
    context.beginPath();
    context.moveTo(from.x * size.width, from.y * size.height);
    context.lineTo(to.x * size.width, to.y * size.height);
    context.stroke();
  }
  context.globalAlpha = 1;
}

function drawBox(context, size, { id, box, seen }) {
  const [left, top, right, bottom] = box;
  context.setLineDash(seen ? [] : [5, 5]);
  context.beginPath();
  context.rect(left * size.width, top * size.height, (right - left) * size.width, (bottom - top) * size.height);
  outline(context, trackColor(id), seen ? 2 : 1.25);
  context.setLineDash([]);
}

/** Names a track where no nearer one's name is: over its box, under it, or in it. */
function drawName(context, size, track, taken) {
  const [left, top, , bottom] = track.box;
  const score = track.seen ? ` ${Math.round(100 * track.score)}%` : "";
  const text = `${track.class} #${track.id}${score}`;
  const places = [top * size.height - 10, bottom * size.height + 10, top * size.height + 10];
  const areas = places.map((y) => plateArea(context, size, text, left * size.width, y, 0));
  const free = areas.find((area) => !taken.some((other) => overlap(area, other)));
  if (!free) return;
  taken.push(free);
  drawPlate(context, free, text, trackColor(track.id));
}

/** A name on its colour, its middle at that place. */
function plate(context, size, text, x, y, color) {
  drawPlate(context, plateArea(context, size, text, x, y, 0.5), text, color);
}

/** Where a name goes, kept inside the picture; `x` is its middle, or its left edge with `share` 0. */
function plateArea(context, size, text, x, y, share) {
  const width = context.measureText(text).width + 10;
  const left = Math.min(Math.max(1, x - share * width), Math.max(1, size.width - width - 1));
  return { left, top: Math.min(Math.max(10, y), size.height - 10) - 9, width, height: 18 };
}

function drawPlate(context, { left, top, width, height }, text, color) {
  context.fillStyle = color;
  context.beginPath();
  context.roundRect(left, top, width, height, 4);
  context.fill();
  context.fillStyle = "#10100f";
  context.fillText(text, left + 5, top + height / 2 + 0.5);
}

function overlap(one, other) {
  const across = one.left < other.left + other.width && other.left < one.left + one.width;
  return across && one.top < other.top + other.height && other.top < one.top + one.height;
}

/** Begins a path along points. */
export function trace(context, size, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x * size.width, y * size.height);
}

/** Strokes the path in a colour that is seen on anything: over a darker, wider one. */
export function outline(context, color, width = 2) {
  context.strokeStyle = "rgb(0 0 0 / 0.45)";
  context.lineWidth = width + 1.5;
  context.stroke();
  context.strokeStyle = color;
  context.lineWidth = width;
  context.stroke();
}
