// Health: whether all goes well, where frames went, what outputs lost, and what a frame costs.

import { ApiError, get } from "./api.js";
import { table } from "./charts.js";
import { el } from "./dom.js";
import { stateText } from "./grid.js";
import { duration, number, t } from "./texts.js";

const EVERY_MS = 3000;

/** Health; see VIEWS in app.js. */
export function mountHealth(root, { streams }) {
  const overall = el("p", { class: "status overall", role: "status" });
  const content = el("div", { class: "columns" });
  const error = el("p", { class: "error", role: "alert" });
  root.append(el("div", { class: "heading" }, el("h1", {}, t("app.health")), overall), error, content);
  let over = false;

  async function show() {
    try {
      const [report, trouble] = await Promise.all([get("/api/report"), loadTrouble()]);
      if (over) return;
      overall.dataset.state = trouble.length ? "failed" : "online";
      overall.replaceChildren(el("i", { class: "dot" }), t(trouble.length ? "health.notready" : "health.ready"));
      content.replaceChildren(...sections(report, trouble, streams));
      error.textContent = "";
    } catch (failed) {
      error.textContent = t("app.failed", { message: failed.message });
    }
  }
  show();
  const timer = setInterval(show, EVERY_MS);
  return () => {
    over = true;
    clearInterval(timer);
  };
}

/** What keeps the run from doing what it is for, a sentence each. */
async function loadTrouble() {
  try {
    await get("/readyz");
    return [];
  } catch (error) {
    if (error instanceof ApiError && error.status === 503) return error.errors.map(({ message }) => message);
    throw error;
  }
}

function sections(report, trouble, streams) {
  const titled = (title, ...children) => el("section", { class: "card" }, el("h2", {}, t(title)), children);
  const outputs = outputRows(report);
  return [
    trouble.length > 0 && el("ul", { class: "card problems" }, trouble.map((line) => el("li", { class: "error" }, line))),
    el("section", { class: "card wide" }, el("h2", {}, t("health.frames")), table(
      ["camera", "state", "decoded", "processed", "dropped", "failed", "latency", "outages", "away"].map((name) => t(`health.${name}`)),
      Object.entries(report.streams).map(([name, stream]) => ledgerRow(name, stream, streams.find(name))),
      2,
    ), el("p", { class: "note below" }, t("health.frames.note"))),
    outputs.length > 0 && titled("health.outputs", table(["output", "written", "waiting", "lost"].map((name) => t(`health.${name}`)), outputs)),
    titled("health.run", el("dl", { class: "facts" }, runFacts(report).map(([name, value]) =>
      el("div", {}, el("dt", {}, t(`health.${name}`)), el("dd", {}, value))))),
    titled("health.stages", table([t("health.stage"), "p50", "p95", "p99"],
      Object.entries(report.stages).map(([name, { p50_ms: p50, p95_ms: p95, p99_ms: p99 }]) => [name, number(p50, 1), number(p95, 1), number(p99, 1)]))),
  ].filter(Boolean);
}

function ledgerRow(name, stream, now) {
  const told = (counts) => {
    const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
    const reasons = Object.keys(counts).filter((reason) => counts[reason]);
    return all ? `${number(all)} (${reasons.join(", ")})` : "0";
  };
  const latency = stream.latency ? `${number(stream.latency.p50_ms)} ms` : "–";
  return [
    name, now ? stateText(now) : "–", stream.decoded, stream.processed, told(stream.dropped), told(stream.failed),
    latency, stream.outages, stream.offline_s ? duration(stream.offline_s) : "–",
  ];
}

/** Each output's counts; those that one stream has to itself are told with its name. */
function outputRows(report) {
  const rows = (outputs, of) => Object.entries(outputs).map(([name, { given, written, lost }]) =>
    [of ? `${name} (${of})` : name, written, Math.max(0, given - written - lost), lost]);
  return [...rows(report.outputs, ""), ...Object.entries(report.streams).flatMap(([name, stream]) => rows(stream.outputs, name))];
}

function runFacts(report) {
  const facts = [
    ["fps", number(report.fps, 1)],
    ["engine", report.engine],
    ["precision", report.precision],
    ["memory", `${number(report.peak_rss_mb)} MB`],
  ];
  return facts.filter(([, value]) => value);
}
