/**
 * The Overview: how the run is, how far it is, its curves, the pace of its ranks, what its tasks use,
 * the lines that matter, and what it is. Puts panels together; each panel is a module.
 */

import { every, get, post, runPath } from "./api.js";
import { curves } from "./curves.js";
import { el, fill, say, set } from "./dom.js";
import { facts } from "./facts.js";
import { viewLink } from "./header.js";
import { health } from "./health.js";
import { hint } from "./hints.js";
import { progressPanel } from "./progress.js";
import { ranks } from "./ranks.js";
import { now, over, store } from "./store.js";
import { tailPanel } from "./tail.js";
import { usagePanels, UsageStore } from "./usage.js";

const CURVES = 4;
const CURVES_S = 5;
const LINES_S = 3;
const COLUMN_S = 5;
const HISTORY_S = 300;

/** @returns {import("./views.js").View} */
export function overview() {
  const view = new OverviewView();
  return {
    element: view.element,
    show: () => view.show(),
    hide: () => view.hide(),
    drop: () => view.drop(),
    update: (topics) => view.update(topics),
  };
}

class OverviewView {
  constructor() {
    this.health = health();
    this.progress = progressPanel();
    this.curves = curves(CURVES);
    this.ranks = ranks();
    this.known = new UsageStore();
    this.usage = usagePanels(this.known);
    this.tail = tailPanel();
    this.facts = facts();
    this.stops = [];
    this.all = el("a", { hidden: true });
    this.cards = this.makeCards();
    this.element = el(
      "section",
      { class: "page overview-page", "aria-label": "Overview" },
      this.health.element,
      el(
        "div",
        { class: "cards" },
        el("div", { class: "column main-column" }, this.cards.progress, this.cards.curves),
        el("div", { class: "column side-column" }, this.cards.ranks, this.cards.facts),
        this.cards.cpu,
        this.cards.memory,
        this.cards.tail,
      ),
    );
    this.sizes = new ResizeObserver(() => this.redraw());
  }

  makeCards() {
    const [cpu, memory] = this.usage;
    return {
      progress: card("Progress", "first", this.progress.element),
      ranks: card("Step rate per rank", "second", this.ranks.element),
      curves: card("Curves", "third", this.curves.element, this.curves.tools, this.all),
      facts: card("This run", "facts-card", this.facts.element),
      cpu: card("CPU, cores", "half", cpu.element, cpu.total),
      memory: card("Memory", "half", memory.element, memory.total),
      tail: card(
        "Last lines",
        "full",
        this.tail.element,
        this.tail.note,
        (this.logs = el("a", {}, "All logs")),
      ),
    };
  }

  show() {
    this.hide();
    this.sizes.observe(this.element);
    set(this.logs, "href", viewLink("logs", "?task="));
    set(this.all, "href", viewLink("training"));
    const quiet = () => {};
    this.ask = () => {
      this.ask = null;
      this.stops.push(
        every(LINES_S, (signal) => this.readLines(signal), quiet),
        every(CURVES_S, (signal) => this.readCurves(signal), quiet),
        every(HISTORY_S, (signal) => this.readHistory(signal), quiet),
      );
    };
    const timer = setInterval(() => this.column(), COLUMN_S * 1000);
    this.stops.push(() => clearInterval(timer));
  }

  hide() {
    this.ask = null;
    for (const stop of this.stops) stop();
    this.stops = [];
    this.sizes.disconnect();
  }

  drop() {
    this.hide();
    this.curves.drop();
    this.ranks.drop();
    for (const panel of this.usage) panel.drop();
  }

  async readCurves(signal) {
    if (document.hidden || !store.head || (over() && this.read)) return;
    const said = await get(runPath("/training"), signal);
    this.read = over() && !said.more;
    const count = this.curves.show(said);
    this.empty("curves", count, said.missing);
    this.all.hidden = count <= CURVES;
    say(this.all, `All ${count} curves`);
  }

  async readLines(signal) {
    if (document.hidden || !store.head) return;
    const wanted = this.tail.wanted();
    if (wanted) this.tail.show(await post(runPath("/logs"), wanted, signal));
  }

  async readHistory(signal) {
    if (document.hidden || !store.head) return;
    const said = await get(runPath("/overview"), signal);
    this.known.set(said.usage);
    this.facts.tell(said.about);
    this.drawUsage();
  }

  column() {
    if (document.hidden || over() || !store.head) return;
    this.known.add(now());
    this.drawUsage();
  }

  drawUsage() {
    const [cpu, memory] = this.usage;
    this.empty("cpu", cpu.update());
    this.empty("memory", memory.update());
  }

  redraw() {
    this.empty("ranks", this.ranks.update());
    this.drawUsage();
  }

  /** What comes beside the stream is asked for after the first paint. */
  update(topics) {
    if (this.ask && store.head) this.ask();
    if (topics.has("head") || topics.has("health")) this.facts.update();
    if (topics.has("tasks") || topics.has("second")) {
      this.empty("progress", this.progress.update());
      this.empty("ranks", this.ranks.update());
      this.facts.tick();
    }
    this.health.update(this.ranks.troubles());
  }

  /** Show how a panel is filled while there is nothing in it. */
  empty(name, full, missing = null) {
    const { note, body } = this.cards[name];
    const known = Boolean(store.head);
    note.hidden = Boolean(full) || !known;
    body.hidden = !full;
    const key = `${store.head?.framework} ${missing} ${over()}`;
    if (note.hidden || note.key === key) return;
    note.key = key;
    fill(note, hint(name, store.head.framework, missing));
  }
}

/** A titled panel: its content, a note for when there is none, and what stands in its head. */
function card(title, width, body, ...tools) {
  const note = el("div", { class: "card-empty", hidden: true });
  const made = el(
    "section",
    { class: `card ${width}`, "aria-label": title },
    el("div", { class: "card-head" }, el("h2", {}, title), tools),
    note,
    body,
  );
  made.note = note;
  made.body = body;
  return made;
}
