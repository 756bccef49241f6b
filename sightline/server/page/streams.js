// The streams of the run, as they are now.

import { get } from "./api.js";

const EVERY_MS = 1000;

/** Asks for the streams every second while the page is seen. Fires `change`. */
export class Streams extends EventTarget {
  list = [];
  loaded = false;
  #states = {};
  #timer = null;

  /** @param {LivePictures} pictures tells of states at once. */
  constructor(pictures) {
    super();
    pictures.addEventListener("state", ({ detail }) => {
      this.#states = detail;
      this.#merge();
      this.dispatchEvent(new Event("change"));
    });
  }

  start() {
    const ask = async () => {
      if (!document.hidden) await this.refresh();
      this.#timer = setTimeout(ask, EVERY_MS);
    };
    return ask();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** Asks now. */
  async refresh() {
    try {
      this.list = (await get("/api/streams")).streams;
      this.loaded = true;
    } catch {
      return; // the connection of the live pictures tells of it
    }
    this.#merge();
    this.dispatchEvent(new Event("change"));
  }

  find(name) {
    return this.list.find((stream) => stream.name === name);
  }

  /** What the live pictures' connection says is newer. */
  #merge() {
    for (const stream of this.list) {
      const told = this.#states[stream.name];
      if (told && stream.state !== "disabled") Object.assign(stream, told);
    }
  }
}
