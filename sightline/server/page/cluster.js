// The page of a cluster: its cameras with their newest pictures, and its machines.

import { get, lost, remove, streamPath } from "./api.js";
import { table } from "./charts.js";
import { button, choice, el, say } from "./dom.js";
import { showLogin } from "./login.js";
import { applyTheme, choose, setting } from "./settings.js";
import { OLD_S } from "./stage.js";
import { applyLanguage, chooseLanguage, currentLanguage, duration, LANGUAGES, number, t } from "./texts.js";

const STATE_MS = 2000;
// From a picture that was shown to asking for the next: a small one, the one that somebody has made large, none at all.
const NEXT_MS = 1000;
const NEXT_WIDE_MS = 200;
const NONE_MS = 2000;
// How a stream's state shows; whatever else there is, is on its way to being online.
const LOOKS = { online: "online", offline: "reconnecting", aside: "failed", failed: "failed", done: "ended", ended: "ended" };

let session = { role: null, login: false };
let shown = null;

/** One camera: its picture, asked for again and again while it can be seen, and how it is doing. */
class Camera {
  constructor(name) {
    this.name = name;
    this.url = null;
    this.over = false;
    this.looking = null;
    this.capturedAt = null;
    this.still = el("img", { class: "still", alt: t("camera.picture", { name }) });
    this.badge = el("span", { class: "badge over" });
    this.state = el("span", { class: "state" });
    this.figures = el("span", { class: "figures" });
    this.node = el("span", { class: "soft" });
    this.reason = el("span", { class: "reason" });
    this.screen = button([this.still, this.badge], () => this.resize(), { class: "screen", "aria-label": t("cluster.size", { name }), "aria-pressed": "false" });
    this.element = el("div", { class: "tile blank" },
      this.screen,
      el("div", { class: "caption" },
        el("strong", {}, name),
        el("span", { class: "status" }, el("i", { class: "dot" }), this.state),
        this.figures,
        this.node,
        this.reason,
      ),
    );
  }

  get wide() {
    return this.element.classList.contains("wide");
  }

  resize() {
    this.screen.setAttribute("aria-pressed", String(this.element.classList.toggle("wide")));
    this.wake?.();
  }

  update(stream) {
    const look = LOOKS[stream.state] ?? "opening";
    this.past = look === "ended";
    this.runs = look === "online" || look === "reconnecting";
    this.element.dataset.state = look;
    say(this.state, stream.state === "aside" ? t("cluster.aside") : stream.state === "waiting" ? t("cluster.waiting") : t(`state.${look}`));
    const told = [t("grid.fps", { fps: number(stream.fps, 1) }), t("grid.latency", { ms: Math.round(stream.p50_ms) }), t("grid.objects", { count: stream.objects })];
    say(this.figures, look === "online" ? told.join(" · ") : "");
    say(this.node, stream.node ?? "");
    say(this.reason, stream.reason);
    this.age();
    if (!this.looking) this.looking = this.keepLooking();
  }

  /** Marks a picture that is old, and says how old it is. */
  age() {
    const age = this.capturedAt === null ? null : (performance.now() - this.capturedAt) / 1000;
    const old = age !== null && age > OLD_S + NEXT_MS / 1000 && !this.past;
    this.element.classList.toggle("blank", age === null);
    this.element.classList.toggle("old", old);
    say(this.badge, age === null ? t("grid.waiting") : old ? t("grid.old", { age: duration(age) }) : "");
  }

  async keepLooking() {
    while (!this.over) {
      const came = this.runs && !document.hidden && (await this.look());
      await this.pause(came ? (this.wide ? NEXT_WIDE_MS : NEXT_MS) : NONE_MS);
    }
  }

  /** Waits; `resize` and `close` end that. */
  pause(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Shows the newest picture; false where there is none. */
  async look() {
    const width = Math.min(4096, Math.max(16, Math.round(this.screen.clientWidth * devicePixelRatio)));
    try {
      const response = await fetch(`${streamPath(this.name, "frame.jpg")}?width=${width}`);
      if (response.status === 401) lost.dispatchEvent(new Event("lost"));
      if (!response.ok) return false;
      const capturedAt = performance.now() - 1000 * Number(response.headers.get("X-Age-Seconds"));
      const url = URL.createObjectURL(await response.blob());
      if (this.url !== null) URL.revokeObjectURL(this.url);
      this.url = this.still.src = url;
      await this.still.decode();
      this.capturedAt = capturedAt;
      this.age();
      return true;
    } catch {
      return false; // no connection, or a picture that is none: the age of the one that is shown tells
    }
  }

  close() {
    this.over = true;
    this.wake?.();
    if (this.url !== null) URL.revokeObjectURL(this.url);
    this.element.remove();
  }
}

/** All that is shown below the frame. */
class Cluster {
  constructor(main) {
    this.cameras = new Map();
    this.summary = el("p", { class: "soft" });
    this.error = el("p", { class: "error", role: "alert" });
    this.grid = el("div", { class: "grid" });
    this.machines = el("section", { class: "card machines" });
    main.append(el("div", { class: "heading" }, el("h1", {}, t("app.cameras")), this.summary), this.error, this.grid, this.machines);
    this.timers = [setInterval(() => this.show(), STATE_MS), setInterval(() => this.cameras.forEach((camera) => camera.age()), 500)];
    this.show();
  }

  async show() {
    try {
      this.update(await get("/api/cluster"));
      say(this.error, "");
    } catch (failed) {
      say(this.error, t("app.failed", { message: failed.message }));
    }
  }

  update({ streams, nodes, events, missed }) {
    const names = new Set(streams.map((stream) => stream.name));
    for (const [name, camera] of this.cameras) {
      if (names.has(name)) continue;
      camera.close();
      this.cameras.delete(name);
    }
    for (const stream of streams) {
      if (!this.cameras.has(stream.name)) {
        const camera = new Camera(stream.name);
        this.cameras.set(stream.name, camera);
        this.grid.append(camera.element);
      }
      this.cameras.get(stream.name).update(stream);
    }
    this.grid.dataset.count = names.size;
    const online = streams.filter((stream) => stream.state === "online").length;
    say(this.summary, [t("grid.online", { online, all: names.size }), t("cluster.feed", { events, missed })].join(" · "));
    const columns = ["machine", "note", "streams", "wanted", "made", "memory"].map((name) => t(`cluster.${name}`));
    const rows = nodes.map((node) => [node.name, node.why, node.streams, node.wanted, node.capacity ?? "", t("cluster.mb", { mb: number(node.memory_mb) })]);
    this.machines.replaceChildren(el("h2", {}, t("cluster.machines")), table(columns, rows, 2));
  }

  close() {
    this.timers.forEach(clearInterval);
    this.cameras.forEach((camera) => camera.close());
  }
}

function render() {
  shown?.close();
  const themes = ["auto", "light", "dark"].map((theme) => [theme, t(`app.theme.${theme}`)]);
  const main = el("main", { id: "main", tabindex: "-1" });
  document.body.replaceChildren(
    el("header", { class: "top" },
      el("a", { class: "brand", href: "/" }, el("img", { src: "/page/icon.svg", alt: "", width: 22, height: 22 }), "Sightline"),
      el("div", { class: "tools" },
        choice(t("app.language"), LANGUAGES, currentLanguage(), (tag) => {
          chooseLanguage(tag);
          render();
        }),
        choice(t("app.theme"), themes, setting("theme"), (theme) => {
          choose("theme", theme);
          applyTheme();
        }),
        session.login && button(t("app.logout"), logout, { class: "quiet" }),
      ),
    ),
    main,
  );
  shown = new Cluster(main);
}

async function logout() {
  await remove("/api/session");
  location.reload();
}

async function start() {
  applyTheme();
  applyLanguage();
  session = await get("/api/session");
  if (session.login && session.role === null) session = await showLogin();
  lost.addEventListener("lost", () => location.reload(), { once: true });
  render();
}

start();
