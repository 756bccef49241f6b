// Zones and lines: as the configuration has them, and as they are drawn, in fractions of the picture.

import { get, put, streamPath } from "./api.js";

/**
 * A zone or a line.
 * @typedef {object} Shape
 * @property {"zone"|"line"} kind
 * @property {string} name
 * @property {[number, number][]} points corners of a zone, or a line's start and end, in fractions of the picture.
 * @property {object} config what else the configuration says of it, its units among it.
 */

/** Asks for a stream's shapes, zones first. */
export async function loadShapes(stream) {
  const [{ zones }, { lines }] = await Promise.all([get(streamPath(stream.name, "zones")), get(streamPath(stream.name, "lines"))]);
  return [
    ...Object.entries(zones).map(([name, { polygon, ...config }]) => shape("zone", name, polygon, config, stream)),
    ...Object.entries(lines).map(([name, { start, end, ...config }]) => shape("line", name, [start, end], config, stream)),
  ];
}

/** Has a running stream count by these shapes from now on. Raises `ApiError`. */
export async function applyShapes(stream, shapes) {
  const wanted = configured(stream, shapes);
  await put(streamPath(stream.name, "zones"), { zones: wanted.zones });
  await put(streamPath(stream.name, "lines"), { lines: wanted.lines });
}

/** Shapes as the configuration has them: `{zones: {...}, lines: {...}}`. */
export function configured(stream, shapes) {
  const found = { zones: {}, lines: {} };
  for (const { kind, name, points, config } of shapes) {
    const placed = points.map((point) => outOf(point, config.units, stream));
    if (kind === "zone") found.zones[name] = { ...config, polygon: placed };
    else found.lines[name] = { ...config, start: placed[0], end: placed[1] };
  }
  return found;
}

/** A copy that shares nothing with the shapes. */
export function copied(shapes) {
  return structuredClone(shapes);
}

/** A name that none of the shapes has. */
export function freeName(kind, shapes) {
  const taken = new Set(shapes.map(({ name }) => name));
  let number = 1;
  while (taken.has(`${kind}-${number}`)) number += 1;
  return `${kind}-${number}`;
}

function shape(kind, name, points, config, stream) {
  return { kind, name, points: points.map((point) => into(point, config.units, stream)), config };
}

function into([x, y], units, { width, height }) {
  return units === "fraction" ? [x, y] : [x / width, y / height];
}

function outOf([x, y], units, { width, height }) {
  return units === "fraction" ? [rounded(x, 4), rounded(y, 4)] : [rounded(x * width, 1), rounded(y * height, 1)];
}

function rounded(value, digits) {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}
