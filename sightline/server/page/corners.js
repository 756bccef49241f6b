// Corners and edges of zones and lines, in fractions of the picture: where they are, what is near, how they look.

import { outline, trace } from "./overlay.js";
import { number } from "./texts.js";

/** The middles of a zone's edges; a line's can't be bent. */
export function middles({ kind, points }) {
  if (kind !== "zone") return [];
  return points.map(([x, y], index) => {
    const next = points[(index + 1) % points.length];
    return [(x + next[0]) / 2, (y + next[1]) / 2];
  });
}

/** Points moved together, but not out of the picture. */
export function moved(points, x, y) {
  const limited = (by, axis) => {
    const values = points.map((point) => point[axis]);
    return Math.min(Math.max(by, -Math.min(...values)), 1 - Math.max(...values));
  };
  const [right, down] = [limited(x, 0), limited(y, 1)];
  return points.map((point) => [point[0] + right, point[1] + down]);
}

/** A place in fractions of the picture, which is not out of it. */
export function clamped(x, y) {
  return [Math.min(1, Math.max(0, x)), Math.min(1, Math.max(0, y))];
}

/** A place in percent, as it is told. */
export function percent([x, y]) {
  return { x: number(100 * x, 1), y: number(100 * y, 1) };
}

/** Which of the points is nearest, if it is within reach in pixels of a picture of that size; else -1. */
export function nearest(points, at, reach, { width, height }) {
  const distances = points.map(([x, y]) => Math.hypot((x - at[0]) * width, (y - at[1]) * height));
  const least = distances.indexOf(Math.min(...distances));
  return least >= 0 && distances[least] <= reach ? least : -1;
}

/** Whether a place is in a zone, or within reach of a line. */
export function isInside({ kind, points }, at, reach, { width, height }) {
  const path = new Path2D();
  for (const [x, y] of points) path.lineTo(x * width, y * height);
  const context = document.createElement("canvas").getContext("2d");
  context.lineWidth = 2 * reach;
  const place = [at[0] * width, at[1] * height];
  return kind === "zone" ? context.isPointInPath(path, ...place) : context.isPointInStroke(path, ...place);
}

/** Draws a shape that is not finished, up to where its next corner would be. */
export function drawDraft(context, size, points, cursor, color) {
  trace(context, size, points.length ? [...points, cursor] : []);
  context.setLineDash([6, 4]);
  outline(context, color);
  context.setLineDash([]);
  points.forEach((point, index) => dot(context, size, point, index === 0 ? 7 : 5, color, index === 0));
}

/** Draws what a shape can be taken by; the chosen corner is filled. */
export function drawHandles(context, size, shape, chosen, color) {
  for (const point of middles(shape)) dot(context, size, point, 3.5, color, false);
  shape.points.forEach((point, index) => dot(context, size, point, index === chosen ? 8 : 6, color, index === chosen));
}

/** Draws the cross that the keyboard moves. */
export function drawCross(context, size, [left, top]) {
  const [x, y] = [left * size.width, top * size.height];
  context.beginPath();
  context.moveTo(x - 12, y);
  context.lineTo(x + 12, y);
  context.moveTo(x, y - 12);
  context.lineTo(x, y + 12);
  outline(context, "#fff");
}

/** A corner. */
function dot(context, size, [x, y], radius, color, filled) {
  context.beginPath();
  context.arc(x * size.width, y * size.height, radius, 0, 2 * Math.PI);
  context.fillStyle = filled ? color : "#fff";
  context.fill();
  outline(context, filled ? "#fff" : color, 1.5);
}
