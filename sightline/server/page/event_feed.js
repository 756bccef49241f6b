// Events: those of the store, and those that happen now.

import { get } from "./api.js";
import { hasStore } from "./store.js";

/** The kinds of events that are shown, the most asked for first. */
export const EVENT_TYPES = [
  "alert.started", "alert.ended",
  "zone.entered", "zone.left", "line.crossed", "track.started", "track.ended", "track.classified", "track.linked",
  "stream.online", "stream.offline", "stream.frozen", "stream.started", "stream.ended",
];

const EVIDENCE = "evidence.ready";

/**
 * Asks for stored events, newest first: `{events, cursor, stored}`; `stored` false says that there is no store.
 * @param {object} query filters as the API has them; `type` may be an array, and is all that are shown where it is empty.
 */
export async function loadEvents(query, signal) {
  if (!(await hasStore())) return { events: [], cursor: null, stored: false };
  return { stored: true, ...(await get("/api/events", { ...query, type: kinds(query) }, signal)) };
}

/** Follows what happens now. */
export class EventFeed {
  /**
   * @param {object} filters as the API has them, those of time left out.
   * @param {(event: object) => void} happened
   * @param {(id: string, kind: string, address: string) => void} shown is called with each picture or clip of an event.
   */
  constructor(filters, happened, shown = null) {
    const types = kinds(filters);
    const query = new URLSearchParams([...(filters.stream ? [["stream", filters.stream]] : []), ...types.map((type) => ["type", type])]);
    const asked = ["class", "zone", "line"].filter((name) => filters[name]);
    if (shown) query.append("type", EVIDENCE);
    this.source = new EventSource(`/api/events/live?${query}`);
    this.source.addEventListener(EVIDENCE, ({ data }) => {
      const { evidence, kind } = JSON.parse(data);
      shown?.(evidence, kind, `/api/evidence/${evidence}/${kind}`);
    });
    for (const type of types) {
      this.source.addEventListener(type, ({ data }) => {
        const event = JSON.parse(data);
        if (event.evidence) event.evidence = { id: event.evidence }; // as in the answers of the store
        if (asked.every((name) => event[name] === filters[name])) happened(event);
      });
    }
  }

  close() {
    this.source.close();
  }
}

function kinds({ type }) {
  const given = [type ?? []].flat().filter(Boolean);
  return given.length ? given : EVENT_TYPES;
}
