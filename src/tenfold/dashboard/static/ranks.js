/**
 * The step rate of each rank, side by side, so that a slow one stands out.
 */

import { el, fill, keyed, say, set } from "./dom.js";
import { byTask, duration, figure, hasTotal } from "./format.js";
import { prepare } from "./paint.js";
import { median } from "./scale.js";
import { stateOf } from "./states.js";
import { now, over, store } from "./store.js";
import { colour, onTheme } from "./theme.js";

/** A rank below this part of the median is slow. */
const SLOW = 0.7;
const WINDOW_S = 8;
const SILENT_S = 10;
const MOST_BARS = 40;
const SLOWEST = 6;
const CELL_PX = 14;

/** @typedef {{task: string, rate: number, ratio: number|null, silent: number, slow: boolean}} Rank */

/** What each task reported lately, so that a change shows sooner than in its own mean. */
class Pace {
  constructor() {
    this.marks = new Map();
  }

  /** Units a second over the last seconds, or what the task says. */
  rate(task, said) {
    const marks = this.marks.get(task) || [];
    const last = marks.at(-1);
    if (!last || said.time > last.time) marks.push({ time: said.time, done: said.done });
    if (last && said.done < last.done) marks.splice(0, marks.length - 1);
    while (marks.length > 2 && marks[1].time <= said.time - WINDOW_S) marks.shift();
    this.marks.set(task, marks);
    const seconds = said.time - marks[0].time;
    return seconds >= WINDOW_S / 2 ? (said.done - marks[0].done) / seconds : (said.rate ?? 0);
  }
}

/** The ranks that report, in their order; `pace` remembers between calls. @returns {Rank[]} */
function ranksOf(pace) {
  const found = [];
  for (const task of store.tasks.values()) {
    const said = task.progress;
    if (!said || !Number.isFinite(said.done)) continue;
    const finished = (hasTotal(said) && said.done >= said.total) || stateOf(task.state).terminal;
    if (finished && !over()) continue;
    const silent = over() ? 0 : Math.max(0, now() - said.time);
    const rate = over() ? (said.rate ?? 0) : silent > SILENT_S ? 0 : pace.rate(task.task, said);
    found.push({ task: task.task, job: task.job, unit: said.unit, rate, silent, ratio: null });
  }
  for (const ranks of Map.groupBy(found, ({ job, unit }) => `${job} ${unit}`).values()) {
    const rates = ranks.map((rank) => rank.rate);
    const usual = ranks.length === 2 ? Math.max(...rates) : median(rates);
    for (const rank of ranks) {
      rank.ratio = usual > 0 && ranks.length > 1 ? rank.rate / usual : null;
      rank.slow = (rank.ratio !== null && rank.ratio < SLOW) || rank.silent > SILENT_S;
    }
  }
  return found.sort((a, b) => byTask(a.task, b.task));
}

/** The panel. `update` redraws it; `count` is how many ranks reported. */
export function ranks() {
  const pace = new Pace();
  const note = el("p", { class: "note", role: "status" });
  const strip = el("canvas", { class: "rank-strip", hidden: true, role: "img" });
  const tip = el("p", { class: "note", hidden: true });
  const list = el("ul", { class: "ranks" });
  const element = el("div", { class: "rank-view" }, note, strip, tip, list);
  let found = [];

  function update() {
    found = ranksOf(pace);
    const many = found.length > MOST_BARS;
    strip.hidden = !many;
    words();
    note.hidden = found.length < 2;
    const shown = many
      ? [...found].sort((a, b) => (a.ratio ?? 1) - (b.ratio ?? 1)).slice(0, SLOWEST)
      : found;
    const top = Math.max(...found.map((rank) => rank.rate), 1e-12);
    keyed(list, shown, (rank) => rank.task, makeRank, (row, rank) => showRank(row, rank, top));
    if (many) drawStrip();
    return found.length;
  }

  function words() {
    const slow = found.filter((rank) => rank.slow);
    const rates = found.map((rank) => rank.rate);
    const unit = found[0]?.unit || "steps";
    const usual = `median ${figure(median(rates) ?? 0)} ${unit}/s`;
    if (found.length && found.every((rank) => rank.silent > SILENT_S)) {
      set(note, "data-tone", "care");
      return say(note, "No rank reports any more.");
    }
    const which = slow.slice(0, 3).map((rank) => rank.task).join(", ");
    const more = slow.length > 3 ? ` and ${slow.length - 3} more` : "";
    set(note, "data-tone", slow.length ? "care" : null);
    return say(note, slow.length ? `${which}${more} slower than the others; ${usual}` : usual);
  }

  /** Ranks that are slow while others are not, as a problem for the overview's head. */
  function troubles() {
    const slow = found.filter((rank) => rank.slow);
    if (!slow.length || slow.length > found.length / 2 || over()) return [];
    const names = slow.slice(0, 3).map((rank) => rank.task).join(", ");
    const more = slow.length > 3 ? ` and ${slow.length - 3} more` : "";
    return [{ kind: "slow", words: `${names}${more}: fewer steps a second than the other ranks` }];
  }

  /** A cell for each rank, coloured by its rate. */
  function drawStrip() {
    const width = strip.parentElement.clientWidth;
    const columns = Math.max(1, Math.floor(width / CELL_PX));
    const rows = Math.ceil(found.length / columns);
    strip.style.height = `${rows * CELL_PX}px`;
    const pen = prepare(strip, width, rows * CELL_PX);
    found.forEach((rank, index) => {
      const part = Math.min(1, rank.ratio ?? 1);
      pen.fillStyle = colour(rank.slow ? "state-restarting" : "map-flow");
      pen.globalAlpha = rank.slow ? 1 : 0.25 + 0.6 * part;
      const [x, y] = [(index % columns) * CELL_PX, Math.floor(index / columns) * CELL_PX];
      pen.fillRect(x, y, CELL_PX - 2, CELL_PX - 2);
    });
    pen.globalAlpha = 1;
    const slow = found.filter((rank) => rank.slow).length;
    set(strip, "aria-label", `${found.length} ranks, ${slow} of them slow`);
  }

  strip.addEventListener("pointermove", (event) => {
    const columns = Math.max(1, Math.floor(strip.clientWidth / CELL_PX));
    const at = Math.floor(event.offsetY / CELL_PX) * columns + Math.floor(event.offsetX / CELL_PX);
    tip.hidden = !found[at];
    if (found[at]) say(tip, `${found[at].task}  ${rankWords(found[at])}`);
  });
  strip.addEventListener("pointerleave", () => (tip.hidden = true));
  return { element, update, troubles, drop: onTheme(() => found.length && update()) };
}

function makeRank() {
  const row = el("li");
  row.called = el("span", { class: "rank-name" });
  row.bar = el("div", { class: "bar-full" });
  row.amount = el("span", { class: "number" });
  fill(row, row.called, el("div", { class: "bar-ground" }, row.bar), row.amount);
  return row;
}

function showRank(row, rank, top) {
  set(row, "data-task", rank.task);
  set(row, "data-slow", rank.slow ? "true" : null);
  say(row.called, rank.task);
  row.bar.style.transform = `scaleX(${Math.max(0, Math.min(1, rank.rate / top))})`;
  say(row.amount, rankWords(rank));
}

function rankWords({ rate, unit, ratio, silent, slow }) {
  if (silent > SILENT_S) return `no report for ${duration(silent)}`;
  const words = `${rate < 99.95 ? Number(rate.toPrecision(3)) : figure(rate)} ${unit}/s`;
  return slow && ratio !== null ? `${words}, ${ratio.toFixed(2)}× the others` : words;
}
