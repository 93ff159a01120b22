/**
 * Numbers, times and names as words; the same words as in the terminal (`tenfold ps`, `logs`).
 * Bytes and durations follow the rules of `tenfold.base.quantities`; a test compares the two.
 */

import { stateOf } from "./states.js";

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Bytes: `0 B`, `812 B`, `1.2 MB`, `34 MB`, `512 GB`; empty where it is not known. */
export function bytes(count) {
  if (count === null || count === undefined || !Number.isFinite(count)) return "";
  let value = Math.abs(count);
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const shown = unit === 0 || value >= 9.95 ? Math.floor(value + 0.5) : tenths(value);
  return `${count < 0 ? "−" : ""}${shown} ${UNITS[unit]}`;
}

/** Bytes a second: `3.4 MB/s`. */
export function rate(count) {
  const said = bytes(count);
  return said && `${said}/s`;
}

/** `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "";
  if (seconds < 10) return `${tenths(Math.max(0, seconds))} s`;
  const whole = Math.floor(Math.min(seconds, 1e9));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86_400)
    return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** The time of day, `14:03:59.123`; `parts` 0 leaves the milliseconds out. */
export function clock(time, parts = 3) {
  if (!time) return "";
  const moment = new Date(time * 1000);
  const day = [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(two).join(":");
  return parts ? `${day}.${String(moment.getMilliseconds()).padStart(3, "0")}` : day;
}

/** Day and time, `25 Nov 14:03`. */
export function date(time) {
  if (!time) return "";
  const moment = new Date(time * 1000);
  const month = moment.toLocaleString("en", { month: "short" });
  return `${moment.getDate()} ${month} ${two(moment.getHours())}:${two(moment.getMinutes())}`;
}

/** A figure for people: three digits below a hundred, thousands with commas. */
export function figure(value) {
  if (typeof value !== "number") return value === null || value === undefined ? "" : String(value);
  if (!Number.isFinite(value)) return String(value);
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1);
  if (!Number.isInteger(value) && Math.abs(value) < 100)
    return String(Number(value.toPrecision(3)));
  return Math.round(value).toLocaleString("en-US");
}

/** `1 task`, `3 tasks`, `1,000 tasks`. */
export function plural(count, word) {
  return `${count.toLocaleString("en-US")} ${word}${count === 1 ? "" : "s"}`;
}

/** CPU in cores: `0.93`, `12.4`. */
export function cores(cpu) {
  return cpu === null || cpu === undefined ? "" : cpu.toFixed(cpu < 9.95 ? 2 : 1);
}

/** `512,345 words/s`, from what a task told of its progress. */
export function speed(progress) {
  const { rate: each, unit = "steps" } = progress || {};
  return each ? `${each < 99.95 ? each.toPrecision(3) : figure(each)} ${unit}/s` : "";
}

/** How far, in a line: `45 %  epoch 1/1  512,345 words/s  loss 2.31  1 min 05 s left`. */
export function progressWords(said, now) {
  const figures = { ...(said.figures || {}) };
  const parts = [
    hasTotal(said) ? `${Math.round(100 * share(said))} %` : `${figure(said.done)} ${said.unit}`,
  ];
  if ("epoch" in figures) parts.push(`epoch ${figure(figures.epoch)}`);
  delete figures.epoch;
  if (said.rate) parts.push(speed(said));
  for (const [name, value] of Object.entries(figures)) parts.push(`${name} ${figure(value)}`);
  const silent = now - said.time;
  if (silent > 15) parts.push(`no report for ${duration(silent)}`);
  else if (said.rate && hasTotal(said) && said.done < said.total) {
    parts.push(`${duration((said.total - said.done) / said.rate)} left`);
  }
  return parts.join("  ·  ");
}

/** Done of total, 0 to 1. A bar may not know its total: then it is 0. */
export function share(said) {
  return hasTotal(said) ? Math.min(1, Math.max(0, said.done / (said.total || 1))) : 0;
}

export function hasTotal(said) {
  return said.total !== null && said.total !== undefined;
}

/** The exit code or signal of a task that ended. */
export function exitWords(task) {
  return task.signal || (task.exit_code ?? "");
}

/** How long a task has run, or how long ago it ended (when it was seen last, if it was lost). */
export function since(task, now, seen) {
  const end = stateOf(task.state).unseen ? seen : task.ended;
  if (end) return `${duration(now - end)} ago`;
  return task.started ? duration(now - task.started) : "";
}

/** `worker/3` in a file's or an address's form: `worker-3`. */
export function label(task) {
  return task.replaceAll("/", "-");
}

const TASK_COLOURS = 10;
const known = new Map();

/** The number of a task's colour, 0 to 9: the same as in the terminal. */
export function taskColour(task) {
  let colour = known.get(task);
  if (colour === undefined) {
    const cut = label(task).lastIndexOf("-");
    const job = cut < 0 ? "" : label(task).slice(0, cut);
    const index = label(task).slice(cut + 1);
    colour = (crc32(job) + (/^\d+$/.test(index) ? Number(index) : 0)) % TASK_COLOURS;
    known.set(task, colour);
  }
  return colour;
}

function crc32(text) {
  let sum = ~0;
  for (const byte of new TextEncoder().encode(text)) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (0xedb88320 & -(sum & 1));
  }
  return ~sum >>> 0;
}

/** One digit after the point; halves are rounded up as in `tenfold.base.quantities`. */
function tenths(value) {
  return (Math.floor(value * 10 + 0.5) / 10).toFixed(1);
}

function two(value) {
  return String(value).padStart(2, "0");
}

const ESCAPE = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~]?)/g;
const CONTROL = /[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f\x80-\x9f]/g;

/** Text that a task wrote, without what would colour or move on a terminal. */
export function plain(text) {
  return text.replace(ESCAPE, "").replace(CONTROL, "");
}

/** Tasks in the order people count them: `worker/2` before `worker/10`. */
export function byTask(a, b) {
  return a.localeCompare(b, "en", { numeric: true });
}
