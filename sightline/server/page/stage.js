// A picture with what is drawn over it.

import { el } from "./dom.js";
import { drawOverlay, Trails } from "./overlay.js";

/** Older pictures are marked. */
export const OLD_S = 2;

/** A stream's live picture. `element` is what to put into the page. */
export class Stage {
  #header = null;
  #trails = new Trails();
  #observer;
  #live;
  #size = { width: 0, height: 0 };

  /**
   * @param {LivePictures} pictures
   * @param {string} stream
   * @param {object} shown which overlays there are: see `drawOverlay`; may be changed, then `redraw`.
   * @param {string} label what the picture is, for who can't see it.
   */
  constructor(pictures, stream, shown, label) {
    this.shown = shown;
    this.shapes = [];
    this.extra = null; // draws more over all else: (context, size) => void
    this.onFrame = null; // is told of each header
    this.picture = el("canvas", { class: "picture", role: "img", "aria-label": label });
    this.overlay = el("canvas", { class: "overlay" });
    this.element = el("div", { class: "stage" }, this.picture, this.overlay);
    this.#live = pictures.watch(stream, 320, (header, picture) => this.#show(header, picture));
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(this.overlay);
  }

  /** Where the picture is, in CSS pixels. */
  get size() {
    return this.#size;
  }

  /** The newest picture's header, or null. */
  get header() {
    return this.#header;
  }

  /**
   * How old the picture is in seconds; null before the first.
   * @param {boolean} live false for a file, whose pictures are as old as they came: what counts is whether more come.
   */
  age(live) {
    if (!this.#header) return null;
    return (live ? this.#header.age_s : 0) + (performance.now() - this.#header.receivedAt) / 1000;
  }

  /** Shapes the stage like the picture that is to come. */
  expect(width, height) {
    if (!width || !height) return;
    this.element.style.aspectRatio = `${width} / ${height}`;
    this.element.style.setProperty("--ratio", String(width / height));
  }

  /** Draws what is over the picture again. */
  redraw() {
    const context = this.overlay.getContext("2d");
    const scale = this.overlay.width / Math.max(1, this.#size.width);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.#size.width, this.#size.height);
    const { tracks } = this.#header ?? {};
    drawOverlay(context, this.#size, { tracks, trails: this.#trails, shapes: this.shapes, shown: this.shown });
    this.extra?.(context, this.#size);
  }

  /** Lets the stream go. */
  close() {
    this.#live.close();
    this.#observer.disconnect();
  }

  #show(header, picture) {
    this.#header = header;
    if (this.picture.width !== picture.width || this.picture.height !== picture.height) {
      this.picture.width = picture.width;
      this.picture.height = picture.height;
      this.expect(picture.width, picture.height);
    }
    this.picture.getContext("2d").drawImage(picture, 0, 0);
    this.#trails.add(header);
    this.redraw();
    this.onFrame?.(header);
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.overlay;
    if (!width || !height) return;
    const scale = window.devicePixelRatio || 1;
    this.#size = { width, height };
    this.overlay.width = Math.round(width * scale);
    this.overlay.height = Math.round(height * scale);
    this.#live.resize(width * scale);
    this.redraw();
  }
}
