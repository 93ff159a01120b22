/**
 * How far the run is: the bar, the rate, the time left, and the figures that its task reported.
 */

import { el, fill, keyed, say, set } from "./dom.js";
import { clock, duration, figure, hasTotal, share, speed } from "./format.js";
import { mainProgress, now, over, store } from "./store.js";

const SILENT_S = 15;
const MOST_FIGURES = 8;

/** The panel; `update` gives whether there is any progress to show. */
export function progressPanel() {
  const percent = el("strong", { class: "percent" });
  const bar = el("div", { class: "bar-full" });
  const ground = el("div", { class: "bar-ground big-bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": "Progress" }, bar);
  const left = el("span", { class: "time-left" });
  const figures = el("dl", { class: "big-figures" });
  const element = el(
    "div",
    { class: "progress-view" },
    el("div", { class: "progress-line" }, percent, ground, left),
    figures,
  );

  function update() {
    const said = mainProgress();
    if (!said) return false;
    const part = share(said);
    const known = hasTotal(said);
    say(percent, known ? `${Math.floor(100 * part)} %` : figure(said.done));
    ground.hidden = !known;
    set(ground, "aria-valuenow", Math.floor(100 * part));
    bar.style.transform = `scaleX(${part})`;
    say(left, timeLeft(said));
    set(element, "data-over", over() ? "true" : null);
    keyed(figures, entries(said), ([name]) => name, makeFigure, (row, [, value]) => {
      say(row.lastChild, value);
      const odd = /^(nan|[+-]?inf(inity)?)$/i.test(value);
      set(row, "data-tone", odd ? "bad" : null);
    });
    return true;
  }

  return { element, update };
}

function makeFigure([name]) {
  const row = el("div");
  fill(row, el("dt", { title: name }, name), el("dd"));
  return row;
}

function timeLeft(said) {
  const { head } = store;
  if (over()) return head.started && head.ended ? `took ${duration(head.ended - head.started)}` : "";
  const silent = now() - said.time;
  if (silent > SILENT_S) return `no report for ${duration(silent)}`;
  if (!hasTotal(said) || !(said.rate > 0) || said.done >= said.total) return "";
  const seconds = (said.total - said.done) / said.rate;
  return `${duration(seconds)} left, until ${clock(now() + seconds, 0)}`;
}

function entries(said) {
  const { unit = "steps" } = said;
  const of = hasTotal(said) ? ` / ${figure(said.total)}` : "";
  const found = [[unit, `${figure(said.done)}${of}`]];
  if (said.rate && !over()) found.push(["rate", speed(said)]);
  for (const [name, value] of Object.entries(said.figures || {}).slice(0, MOST_FIGURES))
    found.push([name, figure(value)]);
  return found;
}
