// Charts: bars over time, and bars by name.

import { seriesClass } from "./colors.js";
import { el, svg } from "./dom.js";
import { number } from "./texts.js";

const HEIGHT = 220;
const LEFT = 34;
const BOTTOM = 22;

/** How wide a chart is in pixels, so that its letters are as large as others: as wide as the page, up to `most`. */
export function chartWidth(most) {
  return Math.max(280, Math.min(most, innerWidth - 60));
}

/**
 * Stacked bars over time.
 * @param {{label: string, title: string, values: number[]}[]} bars in the order of time, each with a value per series.
 * @param {string[]} series their names.
 * @param {string} label what the chart shows, for who can't see it.
 */
export function barChart(bars, series, label) {
  const sums = bars.map(({ values }) => values.reduce((sum, value) => sum + value, 0));
  const top = niceTop(Math.max(1, ...sums));
  const whole = chartWidth(1320);
  const [width, height] = [(whole - LEFT) / Math.max(1, bars.length), HEIGHT - BOTTOM - 8];
  const at = (value) => 8 + height * (1 - value / top);
  const lines = [0, 0.5, 1].map((share) => [
    svg("line", { class: "gridline", x1: LEFT, x2: whole, y1: at(share * top), y2: at(share * top) }),
    svg("text", { x: LEFT - 6, y: at(share * top) + 4, "text-anchor": "end" }, number(share * top, top < 2 ? 1 : 0)),
  ]);
  const every = Math.ceil((60 * bars.length) / (whole - LEFT));
  const drawn = bars.map((bar, index) => {
    let base = 0;
    const x = LEFT + index * width;
    const parts = bar.values.map((value, each) => {
      base += value;
      return svg("rect", { class: seriesClass(each), x: x + 0.12 * width, width: 0.76 * width, y: at(base), height: Math.max(0, at(base - value) - at(base)) });
    });
    return svg("g", {},
      svg("title", {}, bar.title),
      svg("rect", { class: "touch", x, width, y: 0, height: HEIGHT - BOTTOM }),
      parts,
      index % every === 0 && svg("text", { x: x + width / 2, y: HEIGHT - 5, "text-anchor": "middle" }, bar.label),
    );
  });
  return svg("svg", { class: "chart", viewBox: `0 0 ${whole} ${HEIGHT}`, role: "img", "aria-label": label }, lines, drawn);
}

/** The names of series beside their colours; one alone needs none. */
export function legend(series) {
  if (series.length < 2) return null;
  return el("ul", { class: "legend" }, series.map((name, index) => el("li", {}, el("i", { class: seriesClass(index) }), name)));
}

/** A table: names of its columns, and rows of cells, of which the first `texts` are words and the others figures. */
export function table(columns, rows, texts = 1) {
  const text = (index) => (index < texts ? "text" : null);
  return el("div", { class: "scroll" },
    el("table", {},
      el("thead", {}, el("tr", {}, columns.map((name, index) => el("th", { scope: "col", class: text(index) }, name)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, index) =>
        index === 0 ? el("th", { scope: "row", class: "text" }, cell) : el("td", { class: text(index) }, typeof cell === "number" ? number(cell, Number.isInteger(cell) ? 0 : 1) : cell))))),
    ),
  );
}

/** Name, bar and number of each, the largest first. */
export function ranking(entries) {
  const most = Math.max(1, ...entries.map(([, value]) => value));
  return el("ul", { class: "ranking" }, entries.map(([name, value], index) => {
    const bar = el("i", { class: seriesClass(index) });
    bar.style.width = `${(100 * value) / most}%`;
    return el("li", {}, el("span", {}, name), el("span", { class: "track" }, bar), el("strong", {}, number(value)));
  }));
}

/** A round number at or above the value, whose half is round, too. */
function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = [1, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power);
  const top = steps.find((step) => step >= value);
  return top < 2 ? 2 : top;
}
