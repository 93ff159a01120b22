/**
 * The edges between two jobs as a heat map: one cell an edge, the brighter the faster, silent ones
 * marked. Where one job is long it is folded into strips, so that every cell can still be seen.
 */

import { el, fill, say } from "./dom.js";
import { byTask, bytes, plural, rate } from "./format.js";
import { prepare } from "./paint.js";
import { jobOf } from "./scene.js";
import { edgeKey, store } from "./store.js";
import { colour } from "./theme.js";

const LABEL_PX = 26;
const STRIP_GAP_PX = 20;
const LARGEST_PX = 30;
const LEVELS = 8;

/** @param {{close: () => void, select: (task: string) => void}} to */
export function heat(to) {
  const title = el("h3");
  const words = el("p", { class: "note", role: "status" });
  const canvas = el("canvas", { tabindex: 0, role: "img" });
  const area = el("div", { class: "heat-area" }, canvas);
  const back = el("button", { type: "button", on: { click: to.close } }, "Back to the map");
  const element = el(
    "div",
    { class: "heat", hidden: true },
    el("div", { class: "heat-head" }, title, back),
    words,
    area,
  );
  const own = { open: false, element, show, update };
  let pair = null;
  let plan = null;

  canvas.addEventListener("pointermove", (event) => point(event, false));
  canvas.addEventListener("click", (event) => point(event, true));
  new ResizeObserver(() => update()).observe(area);

  function show(group) {
    pair = group && { from: group.from, to: group.to };
    own.open = Boolean(pair);
    element.hidden = !pair;
    if (!pair) return;
    fill(title, `${pair.from} – ${pair.to}`);
    say(words, "Point at a cell to see its traffic. Click it to select the task.");
    update();
    canvas.focus({ preventScroll: true });
  }

  function update() {
    if (!pair || !area.clientWidth) return;
    plan = arrange(pair, area.clientWidth, area.clientHeight);
    canvas.style.width = `${area.clientWidth}px`;
    canvas.style.height = `${plan.height}px`;
    const pen = prepare(canvas, area.clientWidth, plan.height);
    paint(pen, plan);
    const silent = plan.edges.filter((edge) => edge.mark === "silent").length;
    canvas.setAttribute(
      "aria-label",
      `${plural(plan.edges.length, "edge")} between ${pair.from} and ${pair.to}, ${silent} silent`,
    );
  }

  function point(event, choose) {
    const box = canvas.getBoundingClientRect();
    const cell = plan && cellAt(plan, event.clientX - box.left, event.clientY - box.top);
    if (!cell) return;
    const edge = cell.edge;
    const said = edge
      ? `${["silent", "cut"].includes(edge.mark) ? edge.mark : rate(edge.rate_bytes_s) || "rate unknown"}, ${bytes(edge.bytes)} in total`
      : "no edge";
    say(words, `${cell.long} – ${cell.short}: ${said}`);
    if (choose && edge) {
      to.close();
      to.select(edge.from);
    }
  }

  return own;
}

/** Which tasks go along which side, how large a cell can be, and how many strips that makes. */
function arrange(pair, width, height) {
  const edges = [...store.map.edges.values()].filter((edge) => {
    const [from, to] = [jobOf(edge.from), jobOf(edge.to)];
    return from === pair.from && to === pair.to;
  });
  const rows = tasksOf(pair.from);
  const columns = tasksOf(pair.to);
  const [long, short] = rows.length > columns.length ? [rows, columns] : [columns, rows];
  let size = LARGEST_PX;
  let across = 1;
  let strips = 1;
  for (; size > 2; size -= 1) {
    across = Math.max(1, Math.floor((width - LABEL_PX) / size));
    strips = Math.ceil(long.length / across);
    if (strips * (short.length * size + STRIP_GAP_PX) <= height) break;
  }
  const tall = strips * (short.length * size + STRIP_GAP_PX);
  const known = new Map(edges.map((edge) => [edgeKey(edge), edge]));
  return {
    edges,
    known,
    long,
    short,
    size,
    across: Math.min(across, long.length),
    strips,
    height: Math.ceil(Math.max(tall, 60)),
  };
}

function tasksOf(job) {
  return [...store.tasks.values()]
    .filter((task) => task.job === job)
    .map((task) => task.task)
    .sort(byTask);
}

function edgeBetween(known, a, b) {
  return known.get(`${a}>${b}`) || known.get(`${b}>${a}`);
}

function paint(pen, { known, long, short, size, across, strips, edges }) {
  const top = Math.max(1, ...edges.map((edge) => edge.rate_bytes_s || 0));
  const gap = size > 5 ? 1 : 0;
  const paints = {
    flow: colour("map-flow"),
    idle: colour("map-box-line"),
    silent: colour("map-silent"),
    cut: colour("map-cut"),
  };
  pen.font = "10px system-ui, sans-serif";
  pen.textBaseline = "middle";
  for (let strip = 0; strip < strips; strip += 1) {
    const y0 = strip * (short.length * size + STRIP_GAP_PX) + 14;
    const part = long.slice(strip * across, (strip + 1) * across);
    labels(pen, part, short, size, y0);
    part.forEach((a, column) => {
      short.forEach((b, row) => {
        const edge = edgeBetween(known, a, b);
        if (!edge) return;
        fillOf(pen, edge, top, paints);
        pen.fillRect(LABEL_PX + column * size, y0 + row * size, size - gap, size - gap);
      });
    });
  }
  pen.globalAlpha = 1;
}

function fillOf(pen, edge, top, paints) {
  if (edge.mark === "silent" || edge.mark === "cut") {
    pen.globalAlpha = 1;
    pen.fillStyle = paints[edge.mark];
  } else if (edge.rate_bytes_s > 0) {
    const strength = Math.log10(1 + edge.rate_bytes_s / 100) / Math.log10(1 + top / 100);
    pen.globalAlpha = 0.12 + 0.88 * (Math.ceil(strength * LEVELS) / LEVELS) ** 2;
    pen.fillStyle = paints.flow;
  } else {
    pen.globalAlpha = 0.8;
    pen.fillStyle = paints.idle;
  }
}

/** Every tenth number along the strip, each one down the side where there is room. */
function labels(pen, part, short, size, y0) {
  pen.globalAlpha = 1;
  pen.fillStyle = colour("ink-2");
  const number = (task) => task.slice(task.lastIndexOf("/") + 1);
  const every = size >= 18 ? 1 : size >= 9 ? 5 : size >= 4 ? 10 : 50;
  pen.textAlign = "left";
  part.forEach((task, column) => {
    if (Number(number(task)) % every === 0)
      pen.fillText(number(task), LABEL_PX + column * size, y0 - 7);
  });
  pen.textAlign = "right";
  const down = size >= 10 ? 1 : size >= 5 ? 2 : 5;
  short.forEach((task, row) => {
    if (Number(number(task)) % down === 0)
      pen.fillText(number(task), LABEL_PX - 5, y0 + (row + 0.5) * size);
  });
}

function cellAt({ known, long, short, size, across, strips }, x, y) {
  const tall = short.length * size + STRIP_GAP_PX;
  const strip = Math.floor(y / tall);
  const row = Math.floor((y - strip * tall - 14) / size);
  const column = Math.floor((x - LABEL_PX) / size);
  if (
    strip < 0 ||
    strip >= strips ||
    row < 0 ||
    row >= short.length ||
    column < 0 ||
    column >= across
  )
    return null;
  const a = long[strip * across + column];
  const b = short[row];
  return a && { long: a, short: b, edge: edgeBetween(known, a, b) };
}
