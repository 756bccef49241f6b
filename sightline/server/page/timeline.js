// Events along the time, a lane for each camera; the times when a camera was away are filled.

import { chartWidth } from "./charts.js";
import { svg } from "./dom.js";
import { moment, t } from "./texts.js";

const LANE = 26;
const LEFT = 110;
const TICK = 130;

/**
 * @param {object[]} events of any order.
 * @param {(event: object) => void} choose is called with an event whose mark is pressed.
 */
export function timeline(events, choose) {
  const streams = [...new Set(events.map(({ stream }) => stream))].sort();
  const times = events.map(({ wall }) => Date.parse(wall));
  const from = Math.min(...times);
  const to = Math.max(from + 1000, Math.max(...times));
  const width = chartWidth(1320);
  const tickCount = Math.max(2, Math.floor((width - LEFT) / TICK));
  const at = (time) => LEFT + ((width - LEFT - 8) * (time - from)) / (to - from);
  const height = streams.length * LANE + 26;
  const lanes = streams.map((name, index) => {
    const y = index * LANE + LANE / 2;
    return [
      svg("text", { x: 0, y: y + 4 }, shortened(name)),
      svg("line", { class: "gridline", x1: LEFT, x2: width, y1: y, y2: y }),
      outages(events.filter(({ stream }) => stream === name), to).map(([begin, end]) =>
        svg("rect", { class: "away", x: at(begin), width: Math.max(2, at(end) - at(begin)), y: y - 8, height: 16, rx: 3 })),
    ];
  });
  const marks = events.map((event, index) => {
    const y = streams.indexOf(event.stream) * LANE + LANE / 2;
    const kind = event.type.split(".")[0];
    return svg("rect", { class: `mark ${kind}`, x: at(times[index]) - 2.5, width: 5, y: y - 7, height: 14, rx: 2, on: { click: () => choose(event) } },
      svg("title", {}, `${moment(new Date(times[index]))} ${t(`event.${event.type}`)}`));
  });
  const ticks = Array.from({ length: tickCount }, (_, index) => {
    const time = from + ((to - from) * (index + 0.5)) / tickCount;
    return svg("text", { x: at(time), y: height - 4, "text-anchor": "middle" }, moment(new Date(time)));
  });
  return svg("svg", { class: "chart timeline", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": t("events.timeline") }, lanes, marks, ticks);
}

/** From when to when a stream was away, in milliseconds. */
function outages(events, now) {
  const found = [];
  let since = null;
  for (const { type, wall } of [...events].sort((one, other) => one.wall.localeCompare(other.wall))) {
    if (type === "stream.offline") since = Date.parse(wall);
    if (type === "stream.online" && since !== null) {
      found.push([since, Date.parse(wall)]);
      since = null;
    }
  }
  return since === null ? found : [...found, [since, now]];
}

function shortened(name) {
  return name.length > 14 ? `${name.slice(0, 13)}…` : name;
}
