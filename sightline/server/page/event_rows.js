// Events as people read them.

import { el } from "./dom.js";
import { duration, moment, t } from "./texts.js";

/** What happened, in words; `who` names the class and the track. */
export function eventText(event) {
  const who = event.class ? `${event.class} #${event.track_id}` : "";
  switch (event.type) {
    case "zone.entered":
      return [t("happened.entered"), event.zone, who];
    case "zone.left":
      return [t("happened.left"), event.zone, `${who} ${t("events.dwell", { time: duration(event.dwell_s) })}`];
    case "line.crossed":
      return [t("happened.crossed"), `${event.line} ${t(`direction.${event.direction}`)}`, who];
    case "track.classified":
      return [t("happened.named"), event.label, who];
    case "alert.started":
    case "alert.ended":
      return [t(`event.${event.type}`), event.rule, event.text];
    case "track.linked":
      return [t("event.track.linked"), `#${event.linked_to}`, who];
    case "stream.offline":
      return [t("event.stream.offline"), "", event.reason ?? ""];
    case "stream.online":
      return [t("event.stream.online"), "", t("events.dwell", { time: duration(event.offline_s ?? 0) })];
    case "stream.ended":
      return [t("event.stream.ended"), "", event.error ?? ""];
    default:
      return [t(`event.${event.type}`), "", who];
  }
}

/** A row of a list of events; a compact one names no camera and does not open. */
export function eventRow(event, { compact = false } = {}) {
  const [what, where, who] = eventText(event);
  const when = new Date(event.wall);
  const told = compact && event.class ? `${event.class} #${event.track_id}` : who;
  const cells = [
    el("time", { datetime: event.wall, title: when.toLocaleString() }, moment(when)),
    el("i", { class: `kind ${event.type.split(".")[0]}` }),
    el("span", { class: "what" }, what, where && [" ", el("strong", {}, where)]),
    el("span", { class: "who" }, told),
  ];
  if (compact) return el("li", {}, cells);
  const thumbnail = address(event, "crop") ?? address(event, "picture");
  if (thumbnail) cells[2].prepend(el("img", { class: "thumbnail", src: thumbnail, alt: "", loading: "lazy" }));
  cells.push(el("span", { class: "where" }, event.stream));
  const row = el("details", {}, el("summary", {}, cells));
  row.addEventListener("toggle", () => row.open && row.append(detail(event)), { once: true });
  return el("li", {}, row);
}

function detail(event) {
  const facts = Object.entries(event)
    .filter(([name, value]) => !["schema", "evidence"].includes(name) && value !== null)
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value))));
  const [picture, clip] = [address(event, "picture") ?? address(event, "crop"), address(event, "clip")];
  return el("div", { class: "detail" },
    picture && el("img", { src: picture, alt: t("events.picture"), loading: "lazy" }),
    clip && el("p", {}, el("a", { href: clip, target: "_blank", rel: "noopener" }, t("events.clip"))),
    el("dl", { class: "facts" }, facts),
  );
}

/** Where a file that shows an event is; null where there is none, or where another site would be asked. */
function address(event, kind) {
  const found = event.evidence?.[kind];
  return typeof found === "string" && found.startsWith("/api/") ? found : null;
}
