// Live pictures: one WebSocket for all that is watched. A picture is acknowledged once it is drawn, so that the next is
// always the newest, and a hidden page, which draws nothing, is sent nothing.

const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 5000;

/** The connection. Fires `state` with `detail` {stream: {state, reason, frozen}}, and `link` with `detail` true or false. */
export class LivePictures extends EventTarget {
  #tiles = new Map();
  #socket = null;
  #waitMs = FIRST_WAIT_MS;
  #asked = false;
  #closed = false;

  /** Connects, and again whenever the connection is lost. */
  open() {
    this.#closed = false;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = (this.#socket = new WebSocket(`${scheme}://${location.host}/api/live`));
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      this.#waitMs = FIRST_WAIT_MS;
      this.dispatchEvent(new CustomEvent("link", { detail: true }));
      this.#ask();
    });
    socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") this.#told(JSON.parse(data));
      else this.#picture(socket, data);
    });
    socket.addEventListener("close", () => {
      if (socket !== this.#socket || this.#closed) return;
      this.dispatchEvent(new CustomEvent("link", { detail: false }));
      setTimeout(() => this.#closed || this.open(), this.#waitMs);
      this.#waitMs = Math.min(2 * this.#waitMs, LONGEST_WAIT_MS);
    });
  }

  /** Ends the connection. */
  close() {
    this.#closed = true;
    this.#socket?.close();
  }

  /**
   * Watches a stream.
   * @param {string} stream
   * @param {number} width of the picture, in pixels of the screen.
   * @param {(header: object, picture: ImageBitmap) => void} show draws a picture; `header.receivedAt` is when it came,
   *   by `performance.now()`.
   * @returns {{resize: (width: number) => void, close: () => void}}
   */
  watch(stream, width, show) {
    const tile = { width, show };
    this.#tiles.set(stream, tile);
    this.#askSoon();
    return {
      resize: (wider) => {
        if (Math.abs(wider - tile.width) < 8) return;
        tile.width = wider;
        this.#askSoon();
      },
      close: () => {
        if (this.#tiles.get(stream) !== tile) return;
        this.#tiles.delete(stream);
        this.#askSoon();
      },
    };
  }

  #askSoon() {
    if (this.#asked) return;
    this.#asked = true;
    queueMicrotask(() => {
      this.#asked = false;
      this.#ask();
    });
  }

  #ask() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const tiles = [...this.#tiles].map(([stream, { width }]) => ({ stream, width: Math.max(1, Math.round(width)) }));
    this.#socket.send(JSON.stringify({ type: "watch", tiles }));
  }

  #told(message) {
    if (message.type === "state") this.dispatchEvent(new CustomEvent("state", { detail: message.streams }));
  }

  async #picture(socket, data) {
    const length = new DataView(data).getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    header.receivedAt = performance.now();
    const picture = await createImageBitmap(new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
    requestAnimationFrame(() => {
      this.#tiles.get(header.stream)?.show(header, picture);
      picture.close();
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "ack", stream: header.stream }));
    });
  }
}
