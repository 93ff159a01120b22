/**
 * CPU and memory of the tasks over time: a line for each of a few tasks, a strip for each of many.
 * What came before is asked for once; what follows comes from the stream.
 */

import { Chart, ChartGroup } from "./chart.js";
import { el, keyed, say, set } from "./dom.js";
import { bytes, clock, cores, duration, plural } from "./format.js";
import { prepare } from "./paint.js";
import { store } from "./store.js";
import { colour, onTheme } from "./theme.js";

const FEW_TASKS = 6;
const MOST_ROWS = 40;
const MOST_COLUMNS = 180;
const ROW_PX = 14;
const LABEL_PX = 86;
const VALUE_PX = 62;
const SERIES = 6;
const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

/** What is known of the tasks' use: `times`, and of each task a value for each of them. */
export class UsageStore {
  constructor() {
    this.clear();
  }

  clear() {
    this.times = [];
    this.cpu = new Map();
    this.memory = new Map();
  }

  /** The answer of GET RUN/overview. */
  set({ times, cpu, memory }) {
    this.times = [...times];
    this.cpu = new Map(Object.entries(cpu).map(([task, values]) => [task, [...values]]));
    this.memory = new Map(Object.entries(memory).map(([task, values]) => [task, [...values]]));
  }

  /** A column more: what the stream says now. */
  add(time) {
    if (this.times.length && time <= this.times.at(-1)) return;
    const old = this.times.length;
    this.times.push(time);
    for (const task of store.tasks.values()) {
      append(this.cpu, task.task, old, task.cpu);
      append(this.memory, task.task, old, task.memory);
    }
    if (this.times.length > MOST_COLUMNS) this.thin();
  }

  /** Every second column, so that a page that stays open for a day does not grow. */
  thin() {
    const keep = (_, index) => index % 2 === this.times.length % 2;
    for (const rows of [this.cpu, this.memory])
      for (const [task, values] of rows) rows.set(task, values.filter(keep));
    this.times = this.times.filter((_, index) => index % 2 === this.times.length % 2);
  }
}

function makeName([task]) {
  return el("li", {}, el("i", { class: "swatch" }), task, el("b"));
}

function append(rows, task, length, value) {
  if (!rows.has(task)) rows.set(task, Array(length).fill(null));
  rows.get(task).push(value ?? null);
}

/** Panels for CPU and memory, drawn from one store. */
export function usagePanels(known) {
  const group = new ChartGroup();
  const panels = [
    usagePanel(known, group, "cpu", "CPU", "state-starting", (value) => cores(value) || "–"),
    usagePanel(known, group, "memory", "Memory", "series-2", (value) => bytes(value) || "–"),
  ];
  return panels;
}

function usagePanel(known, group, name, title, paint, words) {
  const chart = new Chart(group, title);
  const canvas = el("canvas", { class: "strips", role: "img", hidden: true });
  const tip = el("p", { class: "note strip-tip" });
  const total = el("span", { class: "latest" });
  const area = el("div", { class: "chart-area" }, chart.element);
  const legend = el("ul", { class: "chart-legend" });
  const element = el("div", { class: "usage-panel" }, area, legend, canvas, tip);
  let rows = [];

  function update() {
    const values = [...known[name]].filter(([, row]) => row.some((value) => value !== null));
    const sum = [...store.tasks.values()].reduce((all, task) => all + (task[name] || 0), 0);
    say(total, sum ? `${words(sum)} in total` : "");
    const few = values.length <= FEW_TASKS;
    area.hidden = legend.hidden = !few;
    canvas.hidden = tip.hidden = few;
    if (!known.times.length || !values.length) return false;
    if (few) lines(values);
    else strips(values);
    return true;
  }

  function lines(values) {
    const start = store.head?.started || known.times[0];
    chart.show(
      values.map(([task, y], index) => ({
        name: task,
        x: known.times.map((time) => Math.max(0, time - start)),
        y,
        colour: `series-${index % SERIES}`,
      })),
      { time: true, formatX: duration, formatY: words, zero: true },
    );
    keyed(legend, values, ([task]) => task, makeName, (row, [task, used]) => {
      set(row.firstChild, "data-series", values.findIndex(([other]) => other === task) % SERIES);
      say(row.lastChild, words(used.at(-1)));
    });
  }

  /** A row a task; of very many tasks, a row for as many as it takes, with their mean. */
  function strips(values) {
    const each = Math.ceil(values.length / MOST_ROWS);
    rows = [];
    for (let at = 0; at < values.length; at += each)
      rows.push(merged(values.slice(at, at + each), known.times.length));
    const width = canvas.parentElement.clientWidth;
    if (!width) return;
    canvas.style.height = `${rows.length * ROW_PX}px`;
    const pen = prepare(canvas, width, rows.length * ROW_PX);
    const all = rows.flatMap((row) => row.values.filter((value) => value !== null));
    const top = all.sort((a, b) => a - b)[Math.floor(all.length * 0.98)] || 1e-9;
    rows.forEach((row, index) => strip(pen, row, index, width, top));
    say(tip, each > 1 ? `Each row is the mean of ${plural(each, "task")}.` : " ");
    set(canvas, "aria-label", `${title} of ${plural(values.length, "task")} over time`);
  }

  function strip(pen, row, index, width, top) {
    const y = index * ROW_PX;
    const room = width - LABEL_PX - VALUE_PX;
    const step = room / row.values.length;
    pen.fillStyle = colour("line");
    pen.globalAlpha = 0.45;
    pen.fillRect(LABEL_PX, y + 1, room, ROW_PX - 2);
    pen.fillStyle = colour(paint);
    row.values.forEach((value, at) => {
      if (value === null) return;
      pen.globalAlpha = 0.08 + 0.92 * Math.min(1, value / top);
      pen.fillRect(LABEL_PX + at * step, y + 1, step + 0.5, ROW_PX - 2);
    });
    pen.globalAlpha = 1;
    pen.font = FONT;
    pen.textBaseline = "middle";
    pen.fillStyle = colour("ink-2");
    pen.textAlign = "left";
    pen.fillText(row.name, 0, y + ROW_PX / 2, LABEL_PX - 8);
    pen.textAlign = "right";
    pen.fillText(words(row.values.at(-1)), width, y + ROW_PX / 2);
  }

  canvas.addEventListener("pointermove", (event) => {
    const row = rows[Math.floor(event.offsetY / ROW_PX)];
    const room = canvas.clientWidth - LABEL_PX - VALUE_PX;
    const at = Math.floor(((event.offsetX - LABEL_PX) / room) * known.times.length);
    if (row && at >= 0 && at < known.times.length)
      say(tip, `${row.name}  ${words(row.values[at])}  at ${clock(known.times[at], 0)}`);
  });
  const forget = onTheme(update);
  return {
    title,
    element,
    total,
    update,
    drop() {
      forget();
      chart.drop();
    },
  };
}

/** Some tasks as one row: its name and the mean of their values. */
function merged(tasks, columns) {
  const name = tasks.length > 1 ? `${tasks[0][0]} – ${numberOf(tasks.at(-1)[0])}` : tasks[0][0];
  if (tasks.length === 1) return { name, values: tasks[0][1] };
  const values = Array.from({ length: columns }, (_, at) => {
    const known = tasks.map(([, row]) => row[at]).filter((value) => value !== null);
    return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
  });
  return { name, values };
}

function numberOf(task) {
  return task.slice(task.lastIndexOf("/") + 1);
}
