// Events: what happened, found by filters, along the time and one by one.

import { button, el, field } from "./dom.js";
import { EVENT_TYPES, EventFeed, loadEvents } from "./event_feed.js";
import { eventRow } from "./event_rows.js";
import { t } from "./texts.js";
import { timeline } from "./timeline.js";

const PAGE = 100;
const MOST = 2000; // shown at once, so that a page that stays open does not grow
const SOON_MS = 250;
const FILTERS = ["stream", "type", "class", "zone", "line", "since", "until"];

/** Events; see VIEWS in app.js. */
export function mountEvents(root, context) {
  const view = new EventsView(root, context);
  return () => view.close();
}

class EventsView {
  #cursor = null;
  #events = [];
  #asked = new AbortController();
  #rows = new Map();
  #timer = null;

  constructor(root, { streams, query }) {
    this.filters = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ""]));
    this.note = el("p", { class: "note" });
    this.list = el("ol", { class: "events" });
    this.none = el("p", { class: "empty", hidden: true }, t("events.none"));
    this.when = el("section", { class: "card", hidden: true });
    this.more = button(t("events.more"), () => this.#load());
    this.error = el("p", { class: "error", role: "alert" });
    root.append(
      el("div", { class: "heading" }, el("h1", {}, t("app.events")), this.note),
      this.#form(streams.list.map(({ name }) => name)),
      this.error,
      el("div", { class: "main" }, this.when, el("section", { class: "card" }, this.list, this.none, el("div", { class: "row below" }, this.more))),
    );
    this.#begin();
  }

  close() {
    this.#asked.abort();
    this.feed?.close();
    clearTimeout(this.#timer);
  }

  #form(names) {
    const option = (value, text) => el("option", { value, selected: value === "" }, text);
    const select = (name, options) => el("select", { name }, option("", t("events.all")), options);
    const named = this.filters.stream && !names.includes(this.filters.stream) ? [...names, this.filters.stream] : names;
    const inputs = {
      stream: select("stream", named.map((name) => option(name, name))),
      type: select("type", EVENT_TYPES.map((type) => option(type, t(`event.${type}`)))),
      class: el("input", { name: "class", type: "search" }),
      zone: el("input", { name: "zone", type: "search" }),
      line: el("input", { name: "line", type: "search" }),
      since: el("input", { name: "since", type: "datetime-local", step: 1 }),
      until: el("input", { name: "until", type: "datetime-local", step: 1 }),
    };
    const labels = { stream: "camera" };
    for (const name of FILTERS) {
      inputs[name].value = this.filters[name];
      inputs[name].addEventListener("change", () => {
        this.filters[name] = inputs[name].value.trim();
        this.#begin();
      });
    }
    const clear = button(t("events.clear"), () => {
      for (const name of FILTERS) inputs[name].value = this.filters[name] = "";
      this.#begin();
    }, { class: "quiet" });
    const form = el("form", { class: "filters", "aria-label": t("events.filters"), on: { submit: (event) => event.preventDefault() } },
      FILTERS.map((name) => field(t(`events.${labels[name] ?? name}`), inputs[name])), clear);
    const open = matchMedia("(min-width: 721px)").matches || Object.values(this.filters).some(Boolean);
    return el("details", { class: "folded", open }, el("summary", {}, t("events.filters")), form);
  }

  /** Begins anew with the filters as they are, which the address keeps. */
  #begin() {
    this.#asked.abort();
    this.#asked = new AbortController();
    this.feed?.close();
    this.#cursor = null;
    this.#events = [];
    this.#rows.clear();
    this.list.replaceChildren();
    const given = new URLSearchParams(Object.entries(this.filters).filter(([, value]) => value));
    history.replaceState(null, "", `#/events${given.size ? `?${given}` : ""}`);
    this.#load();
    if (this.filters.until) return;
    this.feed = new EventFeed(this.#query(), (event) => this.#happened(event), (...shown) => this.#shown(...shown));
  }

  #query() {
    const wall = (value) => value && new Date(value).toISOString();
    return { ...this.filters, since: wall(this.filters.since), until: wall(this.filters.until) };
  }

  async #load() {
    const { signal } = this.#asked;
    this.error.textContent = "";
    try {
      const { events, cursor, stored } = await loadEvents({ ...this.#query(), limit: PAGE, cursor: this.#cursor }, signal);
      this.#cursor = cursor;
      this.#events.push(...events);
      this.list.append(...events.map((event) => this.#row(event)));
      this.#share(events);
      this.note.textContent = stored ? (this.filters.until ? "" : t("events.live")) : t("events.nostore");
    } catch (error) {
      if (error.name === "AbortError") return;
      this.error.textContent = t("app.failed", { message: error.message });
    }
    this.#show();
  }

  #happened(event) {
    const known = event.evidence && this.#events.find(({ evidence }) => evidence?.id === event.evidence.id);
    if (known) event.evidence = known.evidence; // an alert that ends is shown by what showed its begin
    this.#events.unshift(event);
    this.list.prepend(this.#row(event));
    while (this.#events.length > MOST) {
      this.#rows.get(this.#events.at(-1)).remove();
      this.#rows.delete(this.#events.pop());
      this.#cursor = null; // what comes before it is no longer what is shown last
    }
    this.#showSoon();
  }

  /** What shows an event shows others that have come meanwhile and name the same evidence. */
  #share(events) {
    const bare = new Set(this.#events.flatMap(({ evidence }) => (evidence && Object.keys(evidence).length === 1 ? [evidence.id] : [])));
    for (const { evidence } of events.filter(({ evidence }) => bare.has(evidence?.id))) {
      for (const [kind, address] of Object.entries(evidence)) if (kind !== "id") this.#shown(evidence.id, kind, address);
    }
  }

  /** There is a picture or a clip of an event: its row is made anew. */
  #shown(id, kind, address) {
    for (const event of this.#events.filter(({ evidence }) => evidence?.id === id)) {
      event.evidence = { ...event.evidence, [kind]: address };
      const before = this.#rows.get(event);
      const open = before.querySelector("details").open;
      before.replaceWith(this.#row(event));
      this.#rows.get(event).querySelector("details").open = open;
    }
  }

  #row(event) {
    const row = eventRow(event);
    this.#rows.set(event, row);
    return row;
  }

  /** Events may come many at once. */
  #showSoon() {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#show();
    }, SOON_MS);
  }

  #show() {
    this.more.hidden = this.#cursor === null;
    this.none.hidden = this.#events.length > 0;
    this.when.hidden = this.#events.length < 2;
    if (this.#events.length < 2) return;
    this.when.replaceChildren(el("h2", {}, t("events.timeline")), timeline(this.#events, (event) => {
      const details = this.#rows.get(event).querySelector("details");
      details.open = true;
      details.querySelector("summary").focus();
      details.scrollIntoView({ block: "center" });
    }));
  }
}
