// Formats times and durations for people.

import { h } from "./dom.js";

const DAY_MS = 86_400_000;
const UNITS = [
  ["h", 3_600_000],
  ["min", 60_000],
];
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** Format a duration in milliseconds in its largest unit: `3 h`. */
export function span(milliseconds) {
  const length = Math.abs(milliseconds);
  if (length >= 1.5 * DAY_MS) return `${Math.round(length / DAY_MS)} days`;
  for (const [unit, size] of UNITS) if (length >= size) return `${Math.round(length / size)} ${unit}`;
  return "less than a minute";
}

/** Format a time relative to now: `in 3 h`, `5 min ago`. */
function relative(text) {
  const ahead = Date.parse(text) - Date.now();
  if (Math.abs(ahead) < 45_000) return ahead > 0 ? "in a moment" : "just now";
  return ahead > 0 ? `in ${span(ahead)}` : `${span(ahead)} ago`;
}

/** Show a time relative to now, kept up to date, with the exact time as its title. */
export function moment(text) {
  return h("time", { datetime: text, title: exact(text), "data-relative": true }, relative(text));
}

/** Format a time in the user's time zone. */
export const exact = (text) => EXACT.format(new Date(text));
export const day = (text) => DAY.format(new Date(text));
export const clock = (text) => CLOCK.format(new Date(text));

/** Show when something expires; highlighted if it is soon. */
export function expiry(text) {
  if (!text) return h("span.quiet", {}, "never");
  const left = Date.parse(text) - Date.now();
  return left > 0 && left < 7_200_000 ? h("span.tag.warn.words", {}, moment(text)) : moment(text);
}

/** Keep all relative times of the page up to date. */
export function keepMoments() {
  setInterval(() => {
    for (const one of document.querySelectorAll("time[data-relative]")) one.textContent = relative(one.dateTime);
  }, 20_000);
}

/** Format the duration of a request: `0.4 ms`, `12 ms`, `1.25 s`. */
export function duration(milliseconds) {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(2)} s`;
  return milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds)} ms`;
}
