// Colours of what is drawn on pictures and in charts.

const GOLDEN = (Math.sqrt(5) - 1) / 2;
const LIGHTNESS = [0.74, 0.66, 0.82];

/** The colour of a track: hues follow the golden angle, so that ids near each other are told apart, as in the videos. */
export function trackColor(id) {
  const hue = 360 * ((id * GOLDEN + 0.08) % 1);
  return `oklch(${LIGHTNESS[id % 3]} 0.19 ${hue.toFixed(1)})`;
}

// Okabe and Ito, "Color universal design", 2008: told apart whatever colours one sees, and the same as in the videos.
const SHAPES = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#0072b2", "#d55e00"];

/** The colour of the n-th zone or line of a stream. */
export function shapeColor(index) {
  return SHAPES[index % SHAPES.length];
}

/** The CSS class of the n-th series of a chart; what comes after the seventh shares the last. */
export function seriesClass(index) {
  return `c${Math.min(index, 7)}`;
}
