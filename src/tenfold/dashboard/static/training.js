/**
 * The Training view: a chart of every tag that the run's event files hold. Charts are drawn by
 * plotly, which is fetched only when this view is opened; without it the last figures stay.
 */

import { every, get, runPath } from "./api.js";
import { el, fill, keyed, say } from "./dom.js";
import { figure } from "./format.js";
import { colour, onTheme } from "./theme.js";

const REFRESH_S = 5;
const FIRST = [/loss/i, /(per_sec|_rate$|\/s$|per second|speed|throughput)/i, /(learning|lr$)/i];
const LINES = ["series-0", "series-1", "series-2", "series-3", "series-4", "series-5"];
/** Styles that plotly would add, and leaves where it finds them: what is needed is in app.css. */
const OWN_STYLES = [
  "plotly.js-style-global",
  "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53",
];
let plotly = null;

/** @returns {import("./views.js").View} */
export function training() {
  const links = el("p", { class: "links" });
  const note = el("p", { class: "note", role: "status" }, "Reading…");
  const grid = el("div", { class: "charts" });
  const element = el(
    "section",
    { class: "page", "aria-label": "Training" },
    el("div", { class: "tools-row" }, links, note),
    grid,
  );
  const sight = new IntersectionObserver((entries) => entries.forEach(seen), {
    rootMargin: "200px",
  });
  let stop = null;
  let said = null;

  function show() {
    load();
    stop ??= every(REFRESH_S, refresh, (error) => say(note, error.message));
  }

  async function refresh(signal) {
    if (document.hidden) return;
    said = await get(runPath("/training"), signal);
    draw();
  }

  async function load() {
    plotly ??= script();
    try {
      await plotly;
      grid.classList.remove("figures-only");
    } catch {
      plotly = null;
      grid.classList.add("figures-only");
    }
    draw();
  }

  function draw() {
    if (!said) return;
    const tags = gather(said.runs);
    fill(
      links,
      service("TensorBoard", said.services?.tensorboard),
      service("Jupyter", said.services?.jupyter),
    );
    say(note, words(said, tags));
    keyed(
      grid,
      tags,
      (tag) => tag.name,
      makeChart,
      (card, tag) => {
        card.tag = tag;
        say(card.latest, tag.lines.map((line) => figure(line.values.at(-1))).join(" · "));
        if (card.visible) chart(card);
      },
    );
  }

  function makeChart(tag) {
    const card = el("figure", { class: "chart", data: { tag: tag.name } });
    card.latest = el("span", { class: "latest" });
    card.area = el("div", { class: "chart-area" });
    fill(card, el("figcaption", {}, el("b", {}, tag.name), card.latest), card.area);
    sight.observe(card);
    return card;
  }

  function seen({ target, isIntersecting }) {
    target.visible = isIntersecting;
    if (isIntersecting) chart(target);
  }

  function hide() {
    stop?.();
    stop = null;
  }

  const drop = onTheme(() =>
    grid.querySelectorAll(".chart").forEach((card) => {
      card.drawn = "";
      if (card.visible) chart(card);
    }),
  );
  return { element, show, hide, drop, update() {} };
}

/** Plotly's own script, served out of its wheel; asked about first, as it may not be there. */
async function script() {
  const answer = await fetch("charts.js", { method: "HEAD" });
  if (!answer.ok) throw new Error("no charts.js");
  return new Promise((resolve, reject) => {
    for (const id of OWN_STYLES)
      document.head.append(el("template", { id, class: "no-inline-styles" }));
    const tag = el("script", { src: "charts.js" });
    tag.addEventListener("load", () =>
      window.Plotly ? resolve(window.Plotly) : reject(new Error("no plotly")),
    );
    tag.addEventListener("error", () => reject(new Error("no charts.js")));
    document.head.append(tag);
  });
}

function words({ missing, damaged }, tags) {
  const bad = Object.entries(damaged || {}).map(([path, what]) => `damaged: ${path} ${what}`);
  if (missing) return `Cannot read the event files. Run: ${missing}`;
  if (bad.length) return bad.join("; ");
  if (!tags.length)
    return "No event file in tensorboard/ contains a value yet.";
  return plotly ? "" : "These are the last values. For charts, run: pip install 'tenfold[charts]'";
}

function service(name, url) {
  return (
    /^https?:\/\//.test(url || "") &&
    el("a", { href: url, target: "_blank", rel: "noopener" }, name)
  );
}

/**
 * Tags over all runs (train, eval …), loss first, then speeds, then the learning rate.
 *
 * @returns {{name: string, lines: {run: string, steps: number[], values: number[]}[]}[]}
 */
function gather(runs) {
  const tags = new Map();
  for (const run of runs) {
    for (const { tag, steps, values } of run.tags) {
      if (!tags.has(tag)) tags.set(tag, { name: tag, lines: [] });
      tags.get(tag).lines.push({ run: run.name, steps, values });
    }
  }
  const rank = ({ name }) => {
    const found = FIRST.findIndex((pattern) => pattern.test(name));
    return /learning/i.test(name) ? 2 : found < 0 ? FIRST.length : found;
  };
  return [...tags.values()].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

/** Draw a chart if what it shows has changed. */
function chart(card) {
  const { tag, area } = card;
  const state = tag.lines
    .map((line) => `${line.run} ${line.steps.length} ${line.steps.at(-1)} ${line.values.at(-1)}`)
    .join();
  if (!window.Plotly || card.drawn === state) return;
  card.drawn = state;
  const traces = tag.lines.map((line, index) => ({
    x: line.steps,
    y: line.values,
    name: line.run,
    type: "scatter",
    mode: line.steps.length > 1 ? "lines" : "markers",
    line: { width: 1.8, color: colour(LINES[index % LINES.length]) },
    marker: { color: colour(LINES[index % LINES.length]) },
    hovertemplate: "%{y:.4~g}",
  }));
  window.Plotly.react(area, traces, look(tag.lines), { displayModeBar: false, responsive: true });
}

function look(lines) {
  const large = lines.some((line) => line.values.some((value) => Math.abs(value) >= 10_000));
  const axis = {
    gridcolor: colour("line"),
    zeroline: false,
    linecolor: colour("line"),
    automargin: true,
    fixedrange: false,
  };
  return {
    height: 230,
    margin: { l: 8, r: 12, t: 8, b: 8 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 11, color: colour("ink-2") },
    xaxis: { ...axis, tickformat: ",d" },
    yaxis: { ...axis, tickformat: large ? ".3~s" : ".4~g" },
    hovermode: "x unified",
    hoverlabel: {
      bgcolor: colour("surface"),
      bordercolor: colour("line"),
      font: { color: colour("ink") },
    },
    showlegend: lines.length > 1,
    legend: {
      orientation: "h",
      x: 1,
      xanchor: "right",
      y: 1,
      yanchor: "bottom",
      bgcolor: "rgba(0,0,0,0)",
    },
    uirevision: "same",
  };
}
