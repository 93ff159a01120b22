/**
 * Painting the map on its canvases: jobs, edges and bands below, motion between, tasks above.
 * Colours are the style sheet's, places are `scene.js`'s.
 */

import { bytes, plural, rate } from "./format.js";
import { along, lengthOf, widthOf } from "./scene.js";
import { stateOf } from "./states.js";
import { colour, stateColour } from "./theme.js";

const TAU = 2 * Math.PI;
const NARROW_PX = 560;
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {{selected: string|null, hover: string|null, focus: string|null, edge: object|null,
 *   rates: Map<string, number>, marked: {task: string, kind: string}|null}} Look
 *   `marked`: the task that hangs or failed first */

/** Fit a canvas to its size on the screen, and clear it. */
export function prepare(canvas, width, height) {
  const ratio = Math.min(2, devicePixelRatio || 1);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

/** The jobs' boxes, bands and edges. */
export function paintBelow(pen, /** @type {Scene} */ scene, /** @type {Look} */ look) {
  for (const box of scene.boxes.values()) paintBox(pen, box);
  for (const band of scene.bands) paintBand(pen, band, look);
  const near = look.hover || look.selected;
  const size = Math.min(1.1, Math.max(0.5, (scene.scale * 0.36) / 13));
  const thin = scene.grouped
    ? 1
    : size * Math.min(1, Math.sqrt(90 / Math.max(1, scene.lines.length)));
  for (const line of scene.lines) {
    const { edge } = line;
    const dim = near && edge.from !== near && edge.to !== near && look.edge !== line;
    paintLine(pen, line, thin, dim ? 0.12 : 1, look.edge === line);
  }
  pen.globalAlpha = 1;
  pen.setLineDash([]);
}

function paintBox(pen, box) {
  pen.fillStyle = colour("map-box");
  pen.strokeStyle = colour("map-box-line");
  pen.lineWidth = 1;
  pen.beginPath();
  pen.roundRect(box.x + 0.5, box.y + 0.5, box.w, box.h, 10);
  pen.fill();
  pen.stroke();
}

function trace(pen, [x1, y1, cx, cy, x2, y2]) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.quadraticCurveTo(cx, cy, x2, y2);
}

function paintLine(pen, { edge, points }, thin, alpha, strong) {
  const live = edge.rate_bytes_s > 0;
  pen.setLineDash([]);
  if (edge.mark === "silent") {
    pen.strokeStyle = colour("map-silent");
    pen.setLineDash([7, 5]);
    pen.lineWidth = 2;
    pen.globalAlpha = alpha;
  } else if (edge.mark === "cut") {
    pen.strokeStyle = colour("map-cut");
    pen.setLineDash([3, 4]);
    pen.lineWidth = 2.5;
    pen.globalAlpha = alpha;
  } else if (edge.mark === "not planned") {
    pen.strokeStyle = colour("map-unplanned");
    pen.lineWidth = Math.max(1.5, widthOf(edge.rate_bytes_s));
    pen.globalAlpha = alpha * (live ? 0.85 : 0.5);
  } else {
    pen.strokeStyle = colour(live ? "map-flow" : "map-idle");
    pen.lineWidth = Math.max(0.8, widthOf(edge.rate_bytes_s) * thin);
    pen.globalAlpha = alpha * (live ? 0.62 : 0.8);
  }
  if (strong) {
    pen.globalAlpha = 1;
    pen.lineWidth += 1.5;
  }
  trace(pen, points);
  pen.stroke();
}

function paintBand(pen, band, look) {
  const { group, points } = band;
  const strong = look.edge === band;
  const dim = (look.hover || look.selected) && !strong;
  const wide = 4 + 3.2 * widthOf(group.rate_bytes_s || 0);
  const calm = group.rate_bytes_s > 0 ? "map-flow" : "map-idle";
  const name = group.cut ? "map-cut" : group.planned ? calm : "map-unplanned";
  pen.strokeStyle = colour(name);
  pen.lineCap = "butt";
  pen.lineWidth = wide;
  pen.globalAlpha = dim ? 0.1 : strong ? 0.6 : 0.32;
  trace(pen, points);
  pen.stroke();
  pen.globalAlpha = 1;
}

/** Tasks, outside addresses and all words. */
export function paintAbove(pen, /** @type {Scene} */ scene, /** @type {Look} */ look) {
  const near = look.hover || look.selected;
  const beside = near && !scene.grouped ? neighbours(scene, near) : null;
  for (const node of new Set(scene.nodes.values())) {
    pen.globalAlpha = beside && !beside.has(node.key) ? 0.4 : 1;
    if (node.task) paintTask(pen, node, look);
    else paintOutside(pen, node, look);
  }
  pen.globalAlpha = 1;
  for (const band of scene.bands) paintBandWords(pen, scene, band);
  paintTitles(pen, scene);
}

function neighbours(scene, key) {
  const found = new Set([key]);
  for (const { edge } of scene.lines) {
    if (edge.from === key) found.add(edge.to);
    if (edge.to === key) found.add(edge.from);
  }
  return found;
}

function paintTask(pen, node, look) {
  const { x, y, r, task } = node;
  const paint = stateColour(task.state);
  const { mark, bad } = stateOf(task.state);
  const hollow = mark !== "disc";
  pen.beginPath();
  pen.arc(x, y, r, 0, TAU);
  pen.fillStyle = hollow ? colour("surface") : paint;
  pen.fill();
  pen.lineWidth = r > 7 ? 2 : 1;
  pen.strokeStyle = hollow ? paint : colour("map-node-line");
  if (mark === "dashes") pen.setLineDash([r / 2, r / 3]);
  pen.stroke();
  pen.setLineDash([]);
  if (r >= 9) nodeWord(pen, node, hollow ? paint : colour("map-node-ink"));
  if (bad) cross(pen, node);
  if (look.marked?.task === node.key) alarmMark(pen, node, look.marked.kind);
  ring(pen, node, look);
}

function nodeWord(pen, { x, y, r, task }, paint) {
  pen.fillStyle = paint;
  pen.font = `600 ${Math.round(Math.min(13, r * 0.85))}px ${FONT}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(task.index ?? "", x, y + 0.5);
}

/** Not by colour alone: a task that failed carries a cross. */
function cross(pen, { x, y, r }) {
  const [cx, cy, arm] = r >= 9 ? [x + r * 0.75, y - r * 0.75, 3.2] : [x, y, r * 0.6];
  if (r >= 9) {
    pen.beginPath();
    pen.arc(cx, cy, 6.5, 0, TAU);
    pen.fillStyle = colour("state-failed");
    pen.fill();
    pen.lineWidth = 1.5;
    pen.strokeStyle = colour("map-node-line");
    pen.stroke();
  }
  pen.beginPath();
  pen.moveTo(cx - arm, cy - arm);
  pen.lineTo(cx + arm, cy + arm);
  pen.moveTo(cx + arm, cy - arm);
  pen.lineTo(cx - arm, cy + arm);
  pen.strokeStyle = colour("map-node-ink");
  pen.lineWidth = r >= 9 ? 1.8 : 1;
  pen.stroke();
}

/** The task that hangs, or failed first: two rings and a word. */
function alarmMark(pen, { x, y, r }, kind) {
  pen.strokeStyle = colour("state-failed");
  pen.lineWidth = 3;
  for (const more of [6, 11]) {
    pen.globalAlpha = more > 6 ? 0.45 : 1;
    pen.beginPath();
    pen.arc(x, y, r + more, 0, TAU);
    pen.stroke();
  }
  pen.globalAlpha = 1;
  words(pen, kind === "hang" ? "hangs" : "failed first", x, y + r + 20, "bad", "center", 12, "700", "map-box");
}

function ring(pen, { x, y, r, key }, look) {
  if (key !== look.selected && key !== look.hover && key !== look.focus) return;
  pen.beginPath();
  pen.arc(x, y, r + 4, 0, TAU);
  pen.lineWidth = key === look.hover && key !== look.selected ? 1.5 : 2.5;
  pen.strokeStyle = colour(key === look.focus ? "focus" : "ink");
  pen.stroke();
}

function paintOutside(pen, node, look) {
  const { x, y, r } = node;
  pen.fillStyle = colour("map-unplanned");
  pen.beginPath();
  pen.moveTo(x, y - r);
  pen.lineTo(x + r, y);
  pen.lineTo(x, y + r);
  pen.lineTo(x - r, y);
  pen.fill();
  ring(pen, node, look);
  words(pen, shorten(node.outside, 22), x, y + r + 10, "ink-2", "center", 11);
}

function shorten(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function paintTitles(pen, scene) {
  const tasks = new Map();
  for (const { task } of scene.nodes.values())
    if (task) tasks.set(task.job, (tasks.get(task.job) || 0) + 1);
  const ground = scene.titlesInside ? "map-box" : "map-ground";
  for (const box of scene.boxes.values()) {
    const y = scene.titlesInside ? box.y + 0.5 * scene.scale : box.y - 9;
    const x = box.x + (scene.titlesInside ? 0.35 * scene.scale : 3);
    const count = tasks.get(box.job) || 0;
    pen.font = `600 12px ${FONT}`;
    const room = scene.titlesInside ? box.w - 0.4 * scene.scale : Math.max(box.w, 60);
    const title = fitting(pen, box.job, room);
    const width = pen.measureText(title).width;
    words(pen, title, x, y, "ink", "left", 12, "600", ground);
    if (count > 1 && width + 30 < room)
      words(
        pen,
        count.toLocaleString("en-US"),
        x + width + 7,
        y,
        "ink-2",
        "left",
        12,
        "400",
        ground,
      );
  }
}

/** As much of a name as there is room for. */
function fitting(pen, name, room) {
  if (pen.measureText(name).width <= room) return name;
  let end = name.length - 1;
  while (end > 1 && pen.measureText(`${name.slice(0, end)}…`).width > room) end -= 1;
  return `${name.slice(0, end)}…`;
}

function paintBandWords(pen, scene, { group, points }) {
  const loop = group.from === group.to;
  const [x, y] = along(points, 0.5);
  const flow = group.rate_bytes_s ? rate(group.rate_bytes_s) : bytes(group.bytes) || "silent";
  const more = group.silent ? `, ${group.silent.toLocaleString("en-US")} silent` : "";
  const many = scene.width < NARROW_PX ? "" : ` · ${plural(group.edges, "edge")}`;
  const text = `${flow}${many}${more}`;
  pen.font = `600 12px ${FONT}`;
  const half = pen.measureText(text).width / 2 + 8;
  const cx = Math.min(Math.max(x + (loop ? half : 0), half + 2), scene.width - half - 2);
  pen.fillStyle = colour("surface");
  pen.strokeStyle = colour("map-box-line");
  pen.lineWidth = 1;
  pen.beginPath();
  pen.roundRect(cx - half, y - 11, 2 * half, 22, 11);
  pen.fill();
  pen.stroke();
  words(
    pen,
    text,
    cx,
    y + 0.5,
    group.silent ? "care" : group.planned ? "ink" : "map-unplanned",
    "center",
    12,
    "600",
  );
}

function words(pen, text, x, y, paint, align, size, weight = "400", ground = "map-ground") {
  pen.font = `${weight} ${size}px ${FONT}`;
  pen.textAlign = align;
  pen.textBaseline = "middle";
  pen.lineWidth = 4;
  pen.lineJoin = "round";
  pen.strokeStyle = colour(ground);
  pen.strokeText(text, x, y);
  pen.fillStyle = colour(paint);
  pen.fillText(text, x, y);
}

/** Drops that travel along the edges, both ways, faster where more flows. `time` in seconds. */
export function paintMotion(pen, /** @type {Scene} */ scene, /** @type {Look} */ look, time) {
  const near = look.hover || look.selected;
  for (const { edge, points } of scene.grouped ? [] : scene.lines) {
    if (!(edge.rate_bytes_s > 0) || (near && edge.from !== near && edge.to !== near)) continue;
    pen.fillStyle = colour(edge.mark === "not planned" ? "map-unplanned" : "map-drop");
    drops(pen, points, edge.rate_to, time, 1, 1.7);
    drops(pen, points, edge.rate_from, time, -1, 1.7);
  }
  for (const { group, points } of scene.bands) {
    if (!(group.rate_bytes_s > 0)) continue;
    pen.fillStyle = colour(group.planned ? "map-drop" : "map-unplanned");
    drops(pen, points, group.rate_bytes_s / 2, time, 1, 3);
    drops(pen, points, group.rate_bytes_s / 2, time, -1, 3);
  }
}

function drops(pen, points, flow, time, way, size) {
  if (!(flow > 0)) return;
  const length = lengthOf(points);
  const strength = Math.log10(1 + flow / 1000);
  const count = Math.max(1, Math.round((length / 240) * Math.min(1.6, 0.5 + strength / 3)));
  const speed = (14 + 11 * strength) / length;
  const shift = (points[0] * 7 + points[1] * 13) % 1;
  for (let drop = 0; drop < count; drop += 1) {
    const t = (time * speed + shift + drop / count) % 1;
    const [x, y] = along(points, way > 0 ? t : 1 - t);
    pen.globalAlpha = Math.min(1, 6 * t, 6 * (1 - t)) * 0.9;
    pen.beginPath();
    pen.arc(x, y, size, 0, TAU);
    pen.fill();
  }
  pen.globalAlpha = 1;
}
