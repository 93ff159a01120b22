/**
 * The map's view: three canvases, the pointer and the keys on them, and when they are painted.
 * Geometry is `scene.js`'s, painting `paint.js`'s, the panel beside it `panel.js`'s, the same
 * for screen readers `maplist.js`'s.
 */

import { marked } from "./alarm.js";
import { get, runPath } from "./api.js";
import { el, say } from "./dom.js";
import { plural, rate } from "./format.js";
import { heat } from "./heat.js";
import { mapList } from "./maplist.js";
import { panel } from "./panel.js";
import { paintAbove, paintBelow, paintMotion, prepare } from "./paint.js";
import { build, edgeAt, neighbour, nodeAt } from "./scene.js";
import { LEGEND } from "./states.js";
import { edgeKey, over, setMap, store } from "./store.js";
import { onTheme } from "./theme.js";

const FRAME_MS = 40;
const ASPECT_CHANGED = 0.2;
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** @returns {import("./views.js").View} */
export function map() {
  const view = new MapView();
  return {
    element: view.element,
    show: (query) => view.show(query),
    hide: () => view.hide(),
    drop: () => view.drop(),
    update: (topics) => view.update(topics),
    key: (key) => key === "Escape" && view.escape(),
  };
}

class MapView {
  constructor() {
    this.look = { selected: null, hover: null, focus: null, edge: null, rates: new Map(), marked: null };
    this.scene = null;
    this.shown = false;
    this.asked = 0;
    this.layers = ["below", "motion", "above"].map((name) =>
      el("canvas", { class: `layer ${name}`, "aria-hidden": "true" }),
    );
    this.tip = el("div", { class: "tip", hidden: true });
    this.waiting = el("p", { class: "empty over" }, "Waiting for the map…");
    this.list = mapList({
      select: (task) => this.select(task),
      focus: (task) => this.focus(task),
      arrow: (task, key) => this.scene && neighbour(this.scene, task, key),
    });
    this.panel = panel({ select: (task) => this.select(task), close: () => this.escape() });
    this.heat = heat({ close: () => this.showHeat(null), select: (task) => this.select(task) });
    this.stage = el(
      "div",
      { class: "stage", data: { testid: "map" } },
      this.layers,
      this.waiting,
      this.list.nodes,
      this.tip,
      this.heat.element,
    );
    this.element = el(
      "section",
      { class: "map-view", "aria-label": "Map" },
      el("div", { class: "map-left" }, this.stage, legend(), this.list.edges),
      this.panel.element,
    );
    this.stage.addEventListener("pointermove", (event) => this.moved(event));
    this.stage.addEventListener("pointerleave", () => this.hover(null, null));
    this.stage.addEventListener("click", (event) => this.clicked(event));
    this.sizes = new ResizeObserver(() => this.resized());
    const ends = new AbortController();
    still.addEventListener("change", () => this.move(), { signal: ends.signal });
    ends.signal.addEventListener(
      "abort",
      onTheme(() => this.paint()),
    );
    this.drop = () => ends.abort();
  }

  show(query) {
    this.shown = true;
    this.sizes.observe(this.stage);
    const asked = query.get("task");
    if (asked && asked !== this.look.selected) this.select(asked);
    else if (this.look.selected) this.panel.select(this.look.selected);
    this.move();
  }

  hide() {
    this.shown = false;
    this.sizes.disconnect();
    this.panel.hide();
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  update(topics) {
    if (topics.has("connection"))
      say(
        this.waiting,
        store.connection === "gone" ? "This run does not exist." : "Waiting for the map…",
      );
    if (topics.has("map") || topics.has("tasks") || topics.has("head")) {
      this.layout();
      this.list.update(this.look.rates);
      this.heat.update();
      this.panel.update();
    } else if (topics.has("second")) this.panel.tick();
  }

  resized() {
    const { width, height } = this.stage.getBoundingClientRect();
    if (!width || !height) return;
    this.layout();
    const aspect = Math.max(0.2, Math.round((width / height) * 10) / 10);
    if (
      store.map.layout &&
      Math.abs(Math.log(aspect / (this.asked || store.aspect || 1.6))) > ASPECT_CHANGED
    ) {
      this.asked = aspect;
      this.askAgain(aspect);
    }
    store.aspect = aspect;
  }

  async askAgain(aspect) {
    try {
      setMap(await get(runPath(`/map?aspect=${aspect}`)));
    } catch {
      this.asked = 0; // the stream's reconnecting asks again
    }
  }

  layout() {
    const { layout, edges, groups } = store.map;
    const { width, height } = this.stage.getBoundingClientRect();
    this.waiting.hidden = Boolean(layout);
    if (!layout || !width || !height) return;
    this.look.rates = taskRates(edges);
    this.look.marked = marked();
    const focus = new Set([this.look.selected].filter(Boolean));
    this.scene = build({ layout, tasks: store.tasks, edges, groups, width, height, focus });
    this.look.edge = sameEdge(this.scene, this.look.edge);
    this.paint();
  }

  paint() {
    if (!this.shown || !this.scene) return;
    const { width, height } = this.scene;
    paintBelow(prepare(this.layers[0], width, height), this.scene, this.look);
    paintAbove(prepare(this.layers[2], width, height), this.scene, this.look);
    if (still.matches || over()) prepare(this.layers[1], width, height);
    this.move();
  }

  /** Keep drops moving while they can be seen, and only where motion is wanted. */
  move() {
    const rests = () => still.matches || over();
    if (this.frame || !this.shown || rests()) return;
    let last = 0;
    const turn = (time) => {
      this.frame = this.shown && !rests() ? requestAnimationFrame(turn) : 0;
      if (!this.scene || time - last < FRAME_MS || this.heat.open) return;
      last = time;
      const { width, height } = this.scene;
      paintMotion(prepare(this.layers[1], width, height), this.scene, this.look, time / 1000);
    };
    this.frame = requestAnimationFrame(turn);
  }

  moved(event) {
    if (!this.scene || this.heat.open || event.pointerType === "touch") return;
    const [x, y] = this.at(event);
    const node = nodeAt(this.scene, x, y);
    this.hover(node, node ? null : edgeAt(this.scene, x, y), x, y);
  }

  at(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  hover(node, edge, x = 0, y = 0) {
    const { look } = this;
    if (look.hover !== (node?.key || null) || look.edge !== edge) {
      look.hover = node?.key || null;
      look.edge = edge;
      this.stage.classList.toggle("pointing", Boolean(node?.task || edge));
      this.paint();
    }
    const text = node ? nodeWords(node, look.rates) : edge ? edgeWords(edge) : "";
    this.tip.hidden = !text;
    if (!text) return;
    say(this.tip, text);
    const left = Math.min(x + 14, this.stage.clientWidth - this.tip.offsetWidth - 6);
    this.tip.style.transform = `translate(${Math.max(4, left)}px, ${y > 60 ? y - 36 : y + 20}px)`;
  }

  clicked(event) {
    if (!this.scene || !this.layers.includes(event.target)) return;
    const [x, y] = this.at(event);
    const node = nodeAt(this.scene, x, y);
    if (node?.task) return this.select(node.key);
    const edge = node ? null : edgeAt(this.scene, x, y);
    if (edge?.group && edge.group.from !== "outside" && edge.group.to !== "outside")
      this.showHeat(edge.group);
    else if (edge?.edge)
      this.select(edge.edge.from.startsWith("outside:") ? edge.edge.to : edge.edge.from);
    else this.select(null);
  }

  select(task) {
    this.look.selected = task;
    this.panel.select(task);
    this.list.selected(task);
    this.layout();
  }

  focus(task) {
    this.look.focus = task;
    this.paint();
  }

  showHeat(group) {
    this.heat.show(group);
    this.hover(null, null);
  }

  escape() {
    if (this.heat.open) this.showHeat(null);
    else if (this.look.selected) this.select(null);
    else return false;
    return true;
  }
}

/** What goes through each task, both ways. */
function taskRates(edges) {
  const rates = new Map();
  for (const { from, to, rate_bytes_s: flow } of edges.values()) {
    if (!flow) continue;
    rates.set(from, (rates.get(from) || 0) + flow);
    rates.set(to, (rates.get(to) || 0) + flow);
  }
  return rates;
}

/** The line or band of a new scene that stands for what one of the old scene stood for. */
function sameEdge(scene, old) {
  if (!old) return null;
  const key = edgeKey(old.edge || old.group);
  return old.edge
    ? scene.lines.find(({ edge }) => edgeKey(edge) === key) || null
    : scene.bands.find(({ group }) => edgeKey(group) === key) || null;
}

function nodeWords(node, rates) {
  if (!node.task)
    return node.others
      ? node.others.map((key) => key.slice(8)).join(", ")
      : `outside: ${node.outside}`;
  const flow = rates.get(node.key);
  return `${node.key}  ${node.task.state}${flow ? `  ${rate(flow)}` : ""}`;
}

function edgeWords({ edge, group }) {
  const { from, to, mark, silent, cut, rate_bytes_s: flow } = edge || group;
  const more = edge
    ? mark === "as planned"
      ? ""
      : `  ${mark}`
    : `${cut ? `  ${cut} cut` : ""}${silent ? `  ${silent} silent` : ""}`;
  const many = group ? `  ${plural(group.edges, "edge")}, click to see each` : "";
  return `${from.replace("outside:", "")} – ${to.replace("outside:", "")}  ${rate(flow) || "rate unknown"}${many}${more}`;
}

function legend() {
  const state = (name, words) =>
    el("li", {}, el("i", { class: "dot", data: { state: name } }), words);
  const line = (name, words) => el("li", {}, el("i", { class: `stroke ${name}` }), words);
  return el(
    "ul",
    { class: "legend", "aria-label": "Legend" },
    LEGEND.map(([name, words]) => state(name, words)),
    line("flow", "as planned, wider is faster"),
    line("idle", "idle now"),
    line("silent", "planned, but silent"),
    line("cut", "cut: no acknowledgement"),
    line("unplanned", "not planned, outside"),
  );
}
