// Counts: by class, zone and line, of this run or of the last days, and over time.

import { get } from "./api.js";
import { barChart, legend, ranking, table } from "./charts.js";
import { choice, el, field } from "./dom.js";
import { PathsCard } from "./paths.js";
import { hasStore } from "./store.js";
import { duration, number, t } from "./texts.js";

// Seconds back, and of a step of the chart; this run's counts are no history.
const RANGES = { run: [86_400, 3600], day: [86_400, 3600], week: [604_800, 21_600] };
const EVERY_MS = 10_000;
const SERIES = 7;

/** Counts; see VIEWS in app.js. */
export function mountCounts(root, { streams, query }) {
  let stream = query.get("stream") ?? streams.list[0]?.name ?? "";
  let range = "run";
  let asked = 0;
  const content = el("div", { class: "columns" });
  const paths = new PathsCard();
  const error = el("p", { class: "error", role: "alert" });
  const camera = el("select", { on: { change: () => {
    stream = camera.value;
    history.replaceState(null, "", `#/counts?${new URLSearchParams({ stream })}`);
    begin();
  } } }, streams.list.map(({ name }) => el("option", { value: name, selected: name === stream }, name)));
  const ranges = choice(t("counts.over"), Object.keys(RANGES).map((name) => [name, t(`counts.${name}`)]), range, (name) => {
    range = name;
    begin();
  });
  root.append(
    el("div", { class: "heading" }, el("h1", {}, t("app.counts"))),
    el("div", { class: "filters" }, field(t("counts.camera"), camera), ranges),
    error,
    content,
    paths.element,
  );
  const failed = (problem) => {
    error.textContent = t("app.failed", { message: problem.message });
  };

  function begin() {
    show();
    if (stream) paths.show(stream, Math.floor(Date.now() / 1000 - RANGES[range][0])).catch(failed);
  }

  async function show() {
    if (!stream) return;
    const turn = (asked += 1);
    try {
      const [counts, past] = await Promise.all([get("/api/counts"), loadHistory(stream, range)]);
      if (turn !== asked) return;
      const found = range === "run" ? ofRun(counts.streams[stream]) : past && ofHistory(past);
      content.replaceChildren(...cards(stream, found, past));
      error.textContent = "";
    } catch (problem) {
      failed(problem);
    }
  }
  begin();
  const timer = setInterval(show, EVERY_MS);
  return () => clearInterval(timer);
}

/** Counts over time, or null where nothing is stored. */
async function loadHistory(stream, range) {
  const [back, step] = RANGES[range];
  if (!(await hasStore())) return null;
  return get("/api/counts/history", { stream, since: Math.floor(Date.now() / 1000 - back), step_s: step });
}

/** What a run counted: `{objects, zones, lines}`, rows of a table each. */
function ofRun(counts) {
  if (!counts) return null;
  const zones = each(counts.zones).map(([zone, name, { unique, max, dwell_s: dwell }]) => [zone, name, unique, max, unique ? duration(dwell / unique) : ""]);
  return {
    objects: Object.entries(counts.objects).map(([name, { unique }]) => [name, unique]),
    zones: { columns: ["zone", "class", "unique", "max", "dwell"], rows: zones },
    lines: each(counts.lines).map(([line, name, ways]) => [line, name, ways.in, ways.out]),
  };
}

/** The same of a history. */
function ofHistory(past) {
  const zones = each(past.zones).map(([zone, name, { entered, max }]) => [zone, name, sum(entered), Math.max(0, ...max)]);
  return {
    objects: Object.entries(past.objects).map(([name, { entered }]) => [name, sum(entered)]),
    zones: { columns: ["zone", "class", "unique", "max"], rows: zones },
    lines: each(past.lines).map(([line, name, ways]) => [line, name, sum(ways.in), sum(ways.out)]),
  };
}

function cards(stream, found, past) {
  const objects = (found?.objects ?? []).filter(([, count]) => count > 0).sort(([, one], [, other]) => other - one);
  const classes = objects.map(([name]) => name);
  const titled = (title, ...children) => el("section", { class: "card" }, el("h2", {}, t(title)), children);
  const time = el("section", { class: "card wide" }, el("h2", {}, t("counts.time")), overTime(stream, past, classes));
  return [
    time,
    titled("counts.seen", objects.length ? ranking(objects) : el("p", { class: "soft" }, t("counts.none"))),
    found?.zones.rows.length && titled("counts.zones", table(titles(found.zones.columns), found.zones.rows, 2)),
    found?.lines.length && titled("counts.lines", table(titles(["line", "class", "in", "out"]), found.lines, 2)),
  ].filter(Boolean);
}

/** Who came in each step, by class; those that came most have a colour of their own. */
function overTime(stream, past, classes) {
  if (past === null) return el("p", { class: "soft" }, t("counts.nostore"));
  const series = [...new Set([...classes, ...Object.keys(past.objects)])].filter((name) => sum(past.objects[name]?.entered ?? []) > 0).slice(0, SERIES);
  if (!series.length) return el("p", { class: "soft" }, t(classes.length ? "counts.soon" : "counts.none"));
  const time = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hour12: false });
  const day = new Intl.DateTimeFormat(document.documentElement.lang, { month: "short", day: "numeric" });
  const bars = Array.from({ length: past.steps }, (_, step) => {
    const start = new Date(1000 * (past.start + step * past.step_s));
    const values = series.map((name) => past.objects[name].entered[step]);
    const title = [`${day.format(start)} ${time.format(start)}`, ...series.map((name, index) => `${name}: ${number(values[index])}`)].join("\n");
    return { label: past.step_s > 3600 ? day.format(start) : time.format(start), title, values };
  });
  return [barChart(bars, series, t("counts.of", { name: stream })), legend(series)];
}

/** Of names within names: `[outer, inner, value]` each. */
function each(nested) {
  return Object.entries(nested).flatMap(([outer, inner]) => Object.entries(inner).map(([name, value]) => [outer, name, value]));
}

function titles(names) {
  return names.map((name) => t(`counts.${name}`));
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
