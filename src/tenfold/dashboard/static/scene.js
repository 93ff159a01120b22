/**
 * The geometry of the map: where tasks, jobs, outside addresses and edges lie on the canvas, what is
 * under a point, and how wide a rate is. Pure: no drawing, no asking, no elements.
 */

import { byTask } from "./format.js";

const FEW_TASKS = 40;
const FEW_EDGES = 400;
const FEW_MARKED = 200;
const RIM_PX = 46;
const SIDE_PX = 26;
const TOP_PX = 14;
const TITLE_PX = 16;
/** Units that a layout leaves above the tasks of a job, for its name. */
const HEAD = 0.75;
const OUTSIDE_PX = 132;
const LARGEST_SCALE = 60;

/**
 * @typedef {import("./store.js").Edge} Edge
 * @typedef {import("./store.js").Group} Group
 * @typedef {{key: string, x: number, y: number, r: number, task?: import("./store.js").Task,
 *   outside?: string, others?: string[]}} Node
 * @typedef {{job: string, x: number, y: number, w: number, h: number}} Box
 * @typedef {{points: [number, number, number, number, number, number], edge: Edge}} Line
 * @typedef {{points: [number, number, number, number, number, number], group: Group}} Band
 * @typedef {{width: number, height: number, grouped: boolean, titlesInside: boolean, nodes: Map<string, Node>,
 *   boxes: Map<string, Box>, lines: Line[], bands: Band[], scale: number}} Scene
 */

/** Whether there is too much to draw each edge as a line. */
export function isMany(tasks, edges) {
  return tasks > FEW_TASKS || edges > FEW_EDGES;
}

/** Width of a rate in pixels: log scale, 1 kB/s is 1.3, 1 MB/s is 4.3, 100 MB/s is 6.5. */
export function widthOf(rate) {
  return rate > 0 ? 1 + 1.1 * Math.log10(1 + rate / 1000) : 1;
}

/** The job of an end of an edge; `outside` for an address. */
export function jobOf(end) {
  return end.startsWith("outside:") ? "outside" : end.slice(0, end.lastIndexOf("/"));
}

/**
 * Lay everything out for a canvas.
 *
 * @param {{layout: import("./store.js").Layout, tasks: Map<string, import("./store.js").Task>,
 *   edges: Map<string, Edge>, groups: Group[], width: number, height: number,
 *   focus: Set<string>}} given `focus`: tasks whose edges are drawn one by one, however many there are
 * @returns {Scene}
 */
export function build(given) {
  const grouped = isMany(given.tasks.size, given.edges.size);
  const scene = {
    width: given.width,
    height: given.height,
    grouped,
    nodes: new Map(),
    boxes: new Map(),
    lines: [],
    bands: [],
    scale: 1,
    titlesInside: true,
  };
  placeTasks(scene, given);
  placeOutside(scene, given);
  if (grouped) scene.bands = bands(scene, given.groups);
  scene.lines = lines(scene, given, grouped);
  return scene;
}

function placeTasks(scene, { layout, tasks, width, height }) {
  const fit = (above) =>
    Math.min(
      LARGEST_SCALE,
      (width - 2 * SIDE_PX) / layout.width,
      (height - above - RIM_PX - 8) / layout.height,
    );
  scene.titlesInside = HEAD * fit(TOP_PX) >= TITLE_PX;
  const above = scene.titlesInside ? TOP_PX : TOP_PX + TITLE_PX;
  const scale = fit(above);
  const left = (width - scale * layout.width) / 2;
  const top = above + (height - above - RIM_PX - 8 - scale * layout.height) / 2;
  const r = Math.max(1.5, Math.min(22, layout.radius * scale));
  scene.scale = scale;
  for (const { job, x, y, w, h } of layout.groups) {
    scene.boxes.set(job, {
      job,
      x: left + x * scale,
      y: top + y * scale,
      w: w * scale,
      h: h * scale,
    });
  }
  for (const [key, task] of tasks) {
    const at = layout.nodes[key];
    if (at) scene.nodes.set(key, { key, task, r, x: left + at[0] * scale, y: top + at[1] * scale });
  }
}

/** Addresses outside stand in a row at the lower rim; those that have no room share the last place. */
function placeOutside(scene, { edges, width, height }) {
  const found = new Map();
  const above = new Map();
  for (const edge of edges.values()) {
    if (!edge.to.startsWith("outside:")) continue;
    found.set(edge.to, (found.get(edge.to) || 0) + (edge.bytes || 0));
    above.set(edge.to, scene.nodes.get(edge.from)?.x || 0);
  }
  const all = [...found.keys()].sort((a, b) => found.get(b) - found.get(a) || byTask(a, b));
  const room = Math.max(1, Math.floor((width - 2 * SIDE_PX) / OUTSIDE_PX));
  const shown = all.length > room ? all.slice(0, room - 1) : all;
  shown.sort((a, b) => above.get(a) - above.get(b) || byTask(a, b));
  const rest = all.slice(shown.length);
  const places = shown.length + (rest.length ? 1 : 0);
  const step = (width - 2 * SIDE_PX) / Math.max(1, places);
  const at = (index) => ({ x: SIDE_PX + step * (index + 0.5), y: height - RIM_PX + 12, r: 6 });
  shown.forEach((key, index) => {
    scene.nodes.set(key, { key, outside: key.slice("outside:".length), ...at(index) });
  });
  if (rest.length) {
    const node = {
      key: "outside:…",
      outside: `${rest.length} more`,
      others: rest,
      ...at(shown.length),
    };
    for (const key of rest) scene.nodes.set(key, node);
  }
}

function bands(scene, groups) {
  const found = [];
  for (const group of groups) {
    if (!group.planned && group.edges <= FEW_MARKED) continue; // each is drawn by itself
    const from = anchor(scene, group.from);
    const to = anchor(scene, group.to);
    if (!from || !to) continue;
    if (group.from === group.to) found.push({ group, points: loop(from) });
    else found.push({ group, points: between(from, to) });
  }
  return found;
}

function anchor(scene, job) {
  const box = scene.boxes.get(job);
  if (box) return box;
  if (job !== "outside") return null;
  return { x: SIDE_PX, y: scene.height - RIM_PX + 2, w: scene.width - 2 * SIDE_PX, h: 4 };
}

/** From the middle of the side of one box to the side of the other that faces it. */
function between(a, b) {
  const [ax, ay] = [a.x + a.w / 2, a.y + a.h / 2];
  const [bx, by] = [b.x + b.w / 2, b.y + b.h / 2];
  const upright = gap(a.y, a.h, b.y, b.h) >= gap(a.x, a.w, b.x, b.w);
  if (upright) {
    const down = by > ay;
    const y1 = down ? a.y + a.h : a.y;
    const y2 = down ? b.y : b.y + b.h;
    const x1 = clamp(bx, a.x + a.w * 0.2, a.x + a.w * 0.8);
    const x2 = clamp(ax, b.x + b.w * 0.2, b.x + b.w * 0.8);
    return [x1, y1, (x1 + x2) / 2, (y1 + y2) / 2, x2, y2];
  }
  const right = bx > ax;
  const x1 = right ? a.x + a.w : a.x;
  const x2 = right ? b.x : b.x + b.w;
  const y1 = clamp(by, a.y + a.h * 0.2, a.y + a.h * 0.8);
  const y2 = clamp(ay, b.y + b.h * 0.2, b.y + b.h * 0.8);
  return [x1, y1, (x1 + x2) / 2, (y1 + y2) / 2, x2, y2];
}

function gap(a, aSize, b, bSize) {
  return Math.max(a - (b + bSize), b - (a + aSize));
}

function loop(box) {
  const x = box.x + box.w;
  const y = box.y + box.h / 2;
  const reach = Math.min(60, 18 + box.h / 3);
  return [x, y - Math.min(14, box.h / 4), x + reach, y, x, y + Math.min(14, box.h / 4)];
}

function lines(scene, { edges, focus }, grouped) {
  const found = [];
  let marked = 0;
  for (const edge of edges.values()) {
    if (grouped && !focus.has(edge.from) && !focus.has(edge.to)) {
      if (edge.mark === "as planned" || marked >= FEW_MARKED) continue;
      marked += 1;
    }
    const from = scene.nodes.get(edge.from);
    const to = scene.nodes.get(edge.to);
    if (from && to && from !== to)
      found.push({ edge, points: curve(from, to, middle(scene, from, to)) });
  }
  return found.sort((a, b) => rank(a.edge) - rank(b.edge));
}

/** What stands out is drawn last. */
function rank(edge) {
  return edge.mark === "as planned"
    ? edge.rate_bytes_s > 0
      ? 1
      : 0
    : 4 - ["cut", "not planned", "silent"].indexOf(edge.mark);
}

/** The middle of the job that both belong to, if they do: their line bends away from it. */
function middle(scene, a, b) {
  const box = a.task && a.task.job === b.task?.job && scene.boxes.get(a.task.job);
  return box ? [box.x + box.w / 2, box.y + box.h / 2] : null;
}

function curve(a, b, away) {
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  const distance = Math.hypot(dx, dy) || 1;
  const near = 2 * Math.max(a.r, b.r);
  const level = away && Math.min(Math.abs(dx), Math.abs(dy)) < near;
  const [mx, my] = [(a.x + b.x) / 2, (a.y + b.y) / 2];
  const inward = away && (mx - away[0]) * -dy + (my - away[1]) * dx < 0;
  const bend =
    (inward ? -1 : 1) * (level ? Math.min(0.28, 60 / distance) : Math.min(0.08, 14 / distance));
  const cx = mx - dy * bend;
  const cy = my + dx * bend;
  const [x1, y1] = toward(a, cx, cy);
  const [x2, y2] = toward(b, cx, cy);
  return [x1, y1, cx, cy, x2, y2];
}

function toward(node, x, y) {
  const distance = Math.hypot(x - node.x, y - node.y) || 1;
  const off = (node.r + 1.5) / distance;
  return [node.x + (x - node.x) * off, node.y + (y - node.y) * off];
}

/** A point of a curve, `t` from 0 to 1. */
export function along([x1, y1, cx, cy, x2, y2], t) {
  const u = 1 - t;
  return [u * u * x1 + 2 * u * t * cx + t * t * x2, u * u * y1 + 2 * u * t * cy + t * t * y2];
}

/** The length of a curve, near enough. */
export function lengthOf([x1, y1, cx, cy, x2, y2]) {
  return (
    (Math.hypot(x2 - x1, y2 - y1) + Math.hypot(cx - x1, cy - y1) + Math.hypot(x2 - cx, y2 - cy)) / 2
  );
}

/** The node at a point, or the nearest within a finger's reach. @returns {Node|null} */
export function nodeAt(scene, x, y) {
  let best = null;
  let least = Infinity;
  for (const node of scene.nodes.values()) {
    const distance = Math.hypot(node.x - x, node.y - y);
    if (distance < least && distance < Math.max(node.r + 3, 9)) {
      best = node;
      least = distance;
    }
  }
  return best;
}

/** The line or band nearest to a point. @returns {Line|Band|null} */
export function edgeAt(scene, x, y) {
  return near(scene.lines, x, y, 5) || near(scene.bands, x, y, 12);
}

function near(curves, x, y, reach) {
  let best = null;
  let least = reach;
  for (const one of curves) {
    for (let step = 0; step <= 16; step += 1) {
      const [px, py] = along(one.points, step / 16);
      const distance = Math.hypot(px - x, py - y) - (step % 16 ? 0 : 1);
      const fine = distance < 40 ? toSegment(one.points, step / 16, x, y) : distance;
      if (fine < least) [best, least] = [one, fine];
    }
  }
  return best;
}

function toSegment(points, t, x, y) {
  const [ax, ay] = along(points, Math.max(0, t - 1 / 16));
  const [bx, by] = along(points, t);
  const length = (bx - ax) ** 2 + (by - ay) ** 2 || 1;
  const s = clamp(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1);
  return Math.hypot(ax + s * (bx - ax) - x, ay + s * (by - ay) - y);
}

/** The task to go to from a task with an arrow key; null at the end. */
export function neighbour(scene, key, arrow) {
  const from = scene.nodes.get(key);
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[
    arrow
  ];
  if (!from || !way) return null;
  let best = null;
  let least = Infinity;
  for (const node of scene.nodes.values()) {
    if (node === from || !node.task) continue;
    const ahead = (node.x - from.x) * way[0] + (node.y - from.y) * way[1];
    const aside = Math.abs((node.x - from.x) * way[1]) + Math.abs((node.y - from.y) * way[0]);
    if (ahead > 1 && ahead + 2.5 * aside < least) [best, least] = [node.key, ahead + 2.5 * aside];
  }
  return best;
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, Math.min(low, high)), Math.max(low, high));
}
