// Where objects went: their paths, or how often each place was passed, over the camera's picture.

import { streamPath } from "./api.js";
import { trackColor } from "./colors.js";
import { choice, el } from "./dom.js";
import { loadEvents } from "./event_feed.js";
import { t } from "./texts.js";

const PAGE = 1000;
const MOST_PAGES = 5;
const WIDTH = 960;
const REACH = 0.02; // of a spot of heat, as a part of the picture's width
// From rarely to often passed: stops of the colour map "inferno".
const HEAT = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]];

/** The card of a stream's paths. `element` is what to put into the page. */
export class PathsCard {
  #tracks = new Map(); // id: {class, points}
  #kind = "heat";
  #class = "";
  #asked = 0;

  constructor() {
    this.canvas = el("canvas", { class: "paths", role: "img", "aria-label": t("paths.title") });
    this.classes = el("select", { "aria-label": t("counts.class"), on: { change: () => {
      this.#class = this.classes.value;
      this.#draw();
    } } });
    const kinds = choice(t("paths.title"), [["heat", t("paths.heat")], ["paths", t("paths.paths")]], this.#kind, (kind) => {
      this.#kind = kind;
      this.#draw();
    });
    this.note = el("p", { class: "note below" });
    this.element = el("section", { class: "card wide" }, el("h2", {}, t("paths.title")), el("div", { class: "filters" }, this.classes, kinds), this.canvas, this.note);
  }

  /** Shows a stream's newest paths since a moment in seconds since 1970. */
  async show(stream, since) {
    const turn = (this.#asked += 1);
    const [picture, events] = await Promise.all([loadPicture(stream), loadPoints(stream, since)]);
    if (turn !== this.#asked) return;
    this.element.hidden = picture === null || events.length === 0;
    if (this.element.hidden) return;
    this.picture = picture;
    this.#tracks = byTrack(events, picture);
    const names = [...new Set([...this.#tracks.values()].map((track) => track.class))].sort();
    if (!names.includes(this.#class)) this.#class = "";
    this.classes.replaceChildren(...["", ...names].map((name) => el("option", { value: name, selected: name === this.#class }, name || t("events.all"))));
    const times = events.map(({ wall }) => Date.parse(wall));
    this.note.textContent = t("paths.note", { tracks: this.#tracks.size, from: new Date(Math.min(...times)).toLocaleString(document.documentElement.lang) });
    this.#draw();
  }

  #draw() {
    const height = Math.round((WIDTH * this.picture.naturalHeight) / this.picture.naturalWidth);
    Object.assign(this.canvas, { width: WIDTH, height });
    const context = this.canvas.getContext("2d");
    context.filter = "grayscale(1) brightness(0.6)";
    context.drawImage(this.picture, 0, 0, WIDTH, height);
    context.filter = "none";
    const tracks = [...this.#tracks].filter(([, track]) => !this.#class || track.class === this.#class);
    if (this.#kind === "heat") context.drawImage(heat(tracks.flatMap(([, { points }]) => points), WIDTH, height), 0, 0);
    else for (const [id, { points }] of tracks) drawPath(context, points, trackColor(id), WIDTH, height);
  }
}

/** The camera's newest picture; null where there is none. */
function loadPicture(stream) {
  return new Promise((resolve) => {
    const picture = el("img", { src: streamPath(stream, "frame.jpg") });
    picture.addEventListener("load", () => resolve(picture));
    picture.addEventListener("error", () => resolve(null));
  });
}

async function loadPoints(stream, since) {
  const found = [];
  let cursor = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await loadEvents({ stream, type: ["track.started", "track.updated"], since, limit: PAGE, cursor });
    found.push(...answer.events);
    cursor = answer.cursor;
    if (cursor === null) break;
  }
  return found.reverse();
}

/** Where each track stood on the ground, in fractions of the picture. A run has its own ids. */
function byTrack(events, { naturalWidth: width, naturalHeight: height }) {
  const tracks = new Map();
  const { run } = events.at(-1);
  for (const event of events) {
    if (event.run !== run) continue;
    const track = tracks.get(event.track_id) ?? { class: event.class, points: [] };
    const [left, , right, bottom] = event.xyxy;
    track.points.push([(left + right) / 2 / width, bottom / height]);
    tracks.set(event.track_id, track);
  }
  return tracks;
}

function drawPath(context, points, color, width, height) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x * width, y * height);
  context.strokeStyle = color;
  context.lineWidth = 2;
  context.globalAlpha = 0.75;
  context.stroke();
  context.globalAlpha = 1;
}

/** A canvas of spots that grow warmer the more of them there are; the scale follows the square root. */
function heat(points, width, height) {
  const canvas = el("canvas", {});
  Object.assign(canvas, { width: width / 2, height: height / 2 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const reach = REACH * canvas.width;
  const spots = new Float32Array(canvas.width * canvas.height);
  for (const [x, y] of points) addSpot(spots, canvas, x * canvas.width, y * canvas.height, reach);
  const most = spots.reduce((best, spot) => Math.max(best, spot), 1e-6);
  const image = context.createImageData(canvas.width, canvas.height);
  for (let index = 0; index < spots.length; index += 1) {
    const level = Math.min(1, Math.sqrt(spots[index] / most));
    if (level > 0.02) image.data.set([...warmth(level), 255 * Math.min(0.85, 1.6 * level)], 4 * index);
  }
  context.putImageData(image, 0, 0);
  const scaled = el("canvas", {});
  Object.assign(scaled, { width, height });
  scaled.getContext("2d").drawImage(canvas, 0, 0, width, height);
  return scaled;
}

function addSpot(spots, { width, height }, x, y, reach) {
  const [left, top] = [Math.max(0, Math.floor(x - 2 * reach)), Math.max(0, Math.floor(y - 2 * reach))];
  const [right, bottom] = [Math.min(width - 1, x + 2 * reach), Math.min(height - 1, y + 2 * reach)];
  for (let row = top; row <= bottom; row += 1) {
    for (let column = left; column <= right; column += 1) {
      spots[row * width + column] += Math.exp(-((column - x) ** 2 + (row - y) ** 2) / (reach * reach));
    }
  }
}

function warmth(level) {
  const place = level * (HEAT.length - 1);
  const index = Math.min(HEAT.length - 2, Math.floor(place));
  return HEAT[index].map((value, channel) => value + (HEAT[index + 1][channel] - value) * (place - index));
}
