// What the page says, in the language of the browser or the one chosen.

import { choose, setting } from "./settings.js";
import english from "./texts_en.js";
import chinese from "./texts_zh.js";

const TABLES = { en: english, zh: chinese };

/** The languages there are, by their own names. */
export const LANGUAGES = [["en", "EN"], ["zh", "中文"]];

let language = "en";

/** Takes the chosen language, or the first of the browser's that there is. */
export function applyLanguage() {
  const wished = [setting("language"), ...navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase())];
  language = wished.find((tag) => tag in TABLES) ?? "en";
  document.documentElement.lang = language === "zh" ? "zh-Hans" : language;
}

export function currentLanguage() {
  return language;
}

export function chooseLanguage(tag) {
  choose("language", tag);
  applyLanguage();
}

/** The text of that name; `{name}` in it stands for the value of that name. */
export function t(name, values = {}) {
  const text = TABLES[language][name] ?? TABLES.en[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (_, key) => (typeof values[key] === "number" ? number(values[key]) : values[key] ?? ""));
}

/** A number as it is written here. */
export function number(value, digits = 0) {
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

/** A length of time, in the two largest of its units. */
export function duration(seconds) {
  if (seconds < 10) return `${number(seconds, 1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** A moment of the wall clock: the time, with the date where it is not today. */
export function moment(date) {
  const today = new Date().toDateString() === date.toDateString();
  const style = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
  return new Intl.DateTimeFormat(language, today ? style : { month: "short", day: "numeric", ...style }).format(date);
}
