/**
 * Curves of a training with their controls: smoothing, log axis, step or time, zoom. The overview
 * shows the first few of them, the Training view all.
 */

import { Chart, ChartGroup } from "./chart.js";
import { add, el, fill, keyed, say, set } from "./dom.js";
import { duration, figure } from "./format.js";
import { store } from "./store.js";
import { onTheme } from "./theme.js";

const FIRST = [/loss/i, /(acc|perplexity|reward|score|f1|auc)/i, /(per_sec|_rate$|\/s$|per second|speed|throughput)/i, /(learning|lr$)/i];
const LINES = ["series-0", "series-1", "series-2", "series-3", "series-4", "series-5"];
const KEY = "tenfold-curves";

/** How curves are drawn, in all views, and after a reload. */
const chosen = { smooth: 0, log: false, axis: "step", ...remembered() };

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) || {};
  } catch {
    return {};
  }
}

function remember() {
  try {
    localStorage.setItem(KEY, JSON.stringify(chosen));
  } catch {
    // a browser that keeps nothing
  }
}

/**
 * Curves and their controls.
 *
 * @param {number} most how many are shown
 * @returns {{tools: HTMLElement, element: HTMLElement, show: (said: object) => number,
 *   drop: () => void}} `show` gives how many curves there are
 */
export function curves(most = Infinity) {
  const group = new ChartGroup();
  const element = el("div", { class: "charts" });
  let tags = [];
  const tools = controls(group, () => draw());
  const sight = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        target.visible = isIntersecting;
        if (isIntersecting) drawOne(target);
      }
    },
    { rootMargin: "200px" },
  );

  function show(said) {
    tags = gather(said);
    draw();
    return tags.length;
  }

  function draw() {
    tools.hidden = !tags.length;
    keyed(
      element,
      tags.slice(0, most),
      (tag) => tag.name,
      (tag) => make(tag, group, sight),
      (card, tag) => {
        card.tag = tag;
        captions(card);
        if (card.visible) drawOne(card);
      },
    );
  }

  const forget = onTheme(draw);
  return {
    tools,
    element,
    show,
    drop() {
      forget();
      sight.disconnect();
      for (const chart of group.charts) chart.drop();
    },
  };
}

function make(tag, group, sight) {
  const card = el("figure", { class: "chart", data: { tag: tag.name } });
  card.chart = new Chart(group, tag.name);
  card.latest = el("span", { class: "latest" });
  card.legend = el("ul", { class: "chart-legend" });
  fill(
    card,
    el("figcaption", {}, el("b", { title: tag.name }, tag.name), card.latest),
    el("div", { class: "chart-area" }, card.chart.element),
    card.legend,
  );
  sight.observe(card);
  return card;
}

function captions(card) {
  const { lines } = card.tag;
  const odd = lines.some((line) => line.values.at(-1) === null);
  say(card.latest, odd ? "not finite" : lines.length > 1 ? "" : figure(lines[0].values.at(-1)));
  set(card.latest, "data-tone", odd ? "bad" : null);
  keyed(
    card.legend,
    lines.length > 1 ? lines : [],
    (line) => line.run,
    (line) => el("li", {}, el("i", { class: "swatch" }), line.run, el("b")),
    (row, line) => {
      set(row.firstChild, "data-series", lines.indexOf(line) % LINES.length);
      say(row.lastChild, figure(line.values.at(-1)) || "not finite");
    },
  );
}

function drawOne({ tag, chart }) {
  const byTime = chosen.axis === "time";
  const start = store.head?.started || Math.min(...tag.lines.map((line) => line.times[0]));
  const lines = tag.lines.map((line, index) => ({
    name: line.run,
    x: byTime ? line.times.map((time) => (time ?? start) - start) : line.steps,
    y: line.values,
    colour: LINES[index % LINES.length],
  }));
  chart.show(lines, {
    log: chosen.log,
    smooth: chosen.smooth,
    time: byTime,
    formatX: byTime ? duration : (step) => `${Math.round(step).toLocaleString("en-US")}`,
  });
}

/** Smoothing, log axis, step or time, and the way back from a zoom. */
function controls(group, changed) {
  const smooth = el("input", {
    type: "range",
    min: 0,
    max: 0.99,
    step: 0.01,
    value: chosen.smooth,
    "aria-label": "Smoothing",
    on: { input: () => apply({ smooth: Number(smooth.value) }) },
  });
  const amount = el("output", { class: "note" });
  const log = el("input", {
    type: "checkbox",
    on: { change: () => apply({ log: log.checked }) },
  });
  log.checked = chosen.log;
  const axis = el(
    "select",
    { "aria-label": "Horizontal axis", on: { change: () => apply({ axis: axis.value }) } },
    el("option", { value: "step" }, "by step"),
    el("option", { value: "time" }, "by time"),
  );
  axis.value = chosen.axis;
  const reset = el(
    "button",
    { type: "button", hidden: true, on: { click: () => group.zoom(null) } },
    "Reset zoom",
  );
  group.zoomed = (on) => (reset.hidden = !on);
  const apply = (change) => {
    if ("axis" in change) group.zoom(null);
    Object.assign(chosen, change);
    say(amount, chosen.smooth ? chosen.smooth.toFixed(2) : "off");
    remember();
    changed();
  };
  say(amount, chosen.smooth ? chosen.smooth.toFixed(2) : "off");
  const row = el("div", { class: "curve-tools", hidden: true });
  add(row, [
    reset,
    el("label", { class: "check", title: "Exponential mean of the values" }, "Smooth", smooth, amount),
    el("label", { class: "check" }, log, "log"),
    axis,
  ]);
  return row;
}

/**
 * The curves of all event files and figures by name: loss first, then scores, speeds, the learning
 * rate.
 *
 * @returns {{name: string, lines: {run: string, steps: number[], values: number[],
 *   times: number[]}[]}[]}
 */
export function gather(said) {
  const tags = new Map();
  const take = (run, found) => {
    for (const { tag, steps, values, times } of found) {
      if (!steps.length) continue;
      if (!tags.has(tag)) tags.set(tag, { name: tag, lines: [] });
      tags.get(tag).lines.push({ run, steps, values, times });
    }
  };
  for (const run of said.runs || []) take(run.name, run.tags);
  for (const { task, tags: found } of said.figures || []) take(task, found);
  const rank = ({ name }) => {
    const found = FIRST.findIndex((pattern) => pattern.test(name));
    return /learning/i.test(name) ? FIRST.length - 1 : found < 0 ? FIRST.length : found;
  };
  return [...tags.values()].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}
