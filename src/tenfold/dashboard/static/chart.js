/**
 * A line chart on a canvas: gaps, a log axis, smoothing, and a cursor and a zoom that charts of one
 * group share. Knows nothing of runs. Geometry and ticks are `scale.js`'s.
 */

import { el, say, set } from "./dom.js";
import { figure } from "./format.js";
import { prepare } from "./paint.js";
import { moments, scaleOf, shortTime, smoothed, ticks } from "./scale.js";
import { colour } from "./theme.js";

const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const TOP = 8;
const BOTTOM = 20;
const RIGHT = 10;
const LEAST_DRAG_PX = 6;

/**
 * @typedef {{name: string, x: number[], y: (number|null)[], colour: string}} Line
 *   `x` never falls; `colour` is a variable of the style sheet
 * @typedef {{log?: boolean, smooth?: number, time?: boolean, formatX?: (x: number) => string,
 *   formatY?: (y: number) => string, zero?: boolean}} Look `smooth` is 0 to 1; `time`: x is seconds
 */

/** What charts of a group share: the place of the cursor and the range of x, or null. */
export class ChartGroup {
  constructor() {
    this.cursor = null;
    this.range = null;
    this.charts = new Set();
    this.zoomed = () => {};
  }

  point(x) {
    if (this.cursor === x) return;
    this.cursor = x;
    for (const chart of this.charts) chart.draw();
  }

  zoom(range) {
    this.range = range;
    this.zoomed(Boolean(range));
    for (const chart of this.charts) chart.draw();
  }
}

export class Chart {
  /** @param {ChartGroup} group @param {string} label what it shows, for screen readers */
  constructor(group, label) {
    this.group = group;
    this.label = label;
    /** @type {Line[]|null} */
    this.lines = null;
    this.look = {};
    this.drag = null;
    this.canvas = el("canvas", { class: "chart-canvas", tabindex: 0, role: "img" });
    this.tip = el("div", { class: "chart-tip", hidden: true });
    this.element = el("div", { class: "chart-box" }, this.canvas, this.tip);
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.element);
    group.charts.add(this);
    this.listen();
  }

  drop() {
    this.sizes.disconnect();
    this.group.charts.delete(this);
  }

  /** @param {Line[]} lines @param {Look} look */
  show(lines, look) {
    this.lines = lines.map((line) => ({ ...line, drawn: smoothed(line.y, look.smooth || 0) }));
    this.look = look;
    const last = lines.slice(0, 20).map((line) => `${line.name} ${this.formatY(lastOf(line.y))}`).join(", ");
    set(this.canvas, "aria-label", `${this.label}: ${last || "no values"}`);
    this.draw();
  }

  formatY(value) {
    return value === null || value === undefined ? "–" : (this.look.formatY || figure)(value);
  }

  formatX(value) {
    return (this.look.formatX || figure)(value);
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height || !this.lines) return;
    const pen = prepare(this.canvas, width, height);
    this.scale = scaleOf(this.lines, this.group.range, this.look);
    if (!this.scale) return this.nothing(pen, width, height);
    pen.font = FONT;
    const rows = ticks(this.scale.low, this.scale.high, Math.max(2, height / 44), this.look.log);
    const left = 10 + Math.max(...rows.map((tick) => pen.measureText(this.formatY(tick)).width), 14);
    this.area = { left, right: width - RIGHT, top: TOP, bottom: height - BOTTOM };
    this.axes(pen, rows);
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, width - left, height - BOTTOM + 1);
    pen.clip();
    for (const line of this.lines) this.line(pen, line);
    pen.restore();
    this.cursor(pen);
  }

  nothing(pen, width, height) {
    pen.font = FONT;
    pen.fillStyle = colour("ink-2");
    pen.textAlign = "center";
    pen.fillText("no finite values", width / 2, height / 2);
    this.tip.hidden = true;
  }

  x(value) {
    const { begin, end } = this.scale;
    const { left, right } = this.area;
    return left + ((value - begin) / (end - begin || 1)) * (right - left);
  }

  y(value) {
    const { bottom, top } = this.area;
    return bottom - this.scale.part(value) * (bottom - top);
  }

  axes(pen, rows) {
    const { left, right, bottom } = this.area;
    pen.strokeStyle = colour("line");
    pen.fillStyle = colour("ink-2");
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    pen.beginPath();
    for (const tick of rows) {
      const y = Math.round(this.y(tick)) + 0.5;
      pen.moveTo(left, y);
      pen.lineTo(right, y);
      pen.fillText(this.formatY(tick), left - 6, y);
    }
    pen.stroke();
    pen.textBaseline = "alphabetic";
    const { begin, end } = this.scale;
    const many = Math.max(2, (right - left) / 90);
    const columns = this.look.time ? moments(begin, end, many) : ticks(begin, end, many, false);
    for (const tick of columns) {
      const text = this.look.time ? shortTime(tick) : this.formatX(tick);
      const half = pen.measureText(text).width / 2;
      pen.textAlign = "center";
      const x = Math.min(right - half + RIGHT - 2, Math.max(left + half - 4, this.x(tick)));
      pen.fillText(text, x, bottom + 15);
    }
  }

  line(pen, { x, y, drawn, colour: name }) {
    pen.lineJoin = "round";
    if (this.look.smooth > 0) this.path(pen, x, y, name, 1, 0.25);
    this.path(pen, x, drawn, name, 1.8, 1);
  }

  /** One line, with gaps where there is no value; a value between two gaps is a dot. */
  path(pen, xs, ys, name, width, alpha) {
    pen.globalAlpha = alpha;
    pen.strokeStyle = pen.fillStyle = colour(name);
    pen.lineWidth = width;
    pen.beginPath();
    let down = false;
    for (let at = 0; at < xs.length; at += 1) {
      if (!this.scale.shows(ys[at])) {
        down = false;
        continue;
      }
      const [x, y] = [this.x(xs[at]), this.y(ys[at])];
      if (down) pen.lineTo(x, y);
      else if (at + 1 < xs.length && this.scale.shows(ys[at + 1])) pen.moveTo(x, y);
      else pen.rect(x - 1.5, y - 1.5, 3, 3);
      down = true;
    }
    pen.stroke();
    pen.globalAlpha = 1;
  }

  /** The line under the pointer, in all charts of the group, and the values there. */
  cursor(pen) {
    const { cursor } = this.group;
    if (!this.scale) return;
    const { begin, end } = this.scale;
    if (this.drag) this.selection(pen);
    if (cursor === null || cursor < begin || cursor > end) {
      this.tip.hidden = true;
      return;
    }
    const found = this.lines
      .map((line) => ({ line, at: nearest(line.x, cursor) }))
      .filter(({ at }) => at >= 0);
    if (!found.length) return;
    const x = this.x(found[0].line.x[found[0].at]);
    pen.strokeStyle = colour("ink-2");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(Math.round(x) + 0.5, this.area.top);
    pen.lineTo(Math.round(x) + 0.5, this.area.bottom);
    pen.stroke();
    for (const { line, at } of found) this.dot(pen, line, at);
    this.say(found, x);
  }

  dot(pen, line, at) {
    if (!this.scale.shows(line.drawn[at])) return;
    pen.beginPath();
    pen.arc(this.x(line.x[at]), this.y(line.drawn[at]), 3, 0, 2 * Math.PI);
    pen.fillStyle = colour(line.colour);
    pen.fill();
  }

  selection(pen) {
    const [from, to] = [Math.min(...this.drag), Math.max(...this.drag)];
    pen.fillStyle = colour("focus");
    pen.globalAlpha = 0.15;
    pen.fillRect(from, this.area.top, to - from, this.area.bottom - this.area.top);
    pen.globalAlpha = 1;
  }

  say(found, x) {
    const value = ({ line, at }) => {
      const raw = line.y[at];
      return raw === null ? "not finite" : this.formatY(raw);
    };
    const many = this.lines.length > 1;
    const rows = found.map((one) => (many ? `${one.line.name}  ${value(one)}` : value(one)));
    say(this.tip, [this.formatX(found[0].line.x[found[0].at]), ...rows].join("\n"));
    this.tip.hidden = false;
    const room = this.element.clientWidth - this.tip.offsetWidth - 4;
    const left = x + 12 > room ? x - this.tip.offsetWidth - 12 : x + 12;
    this.tip.style.transform = `translate(${Math.max(0, left)}px, ${TOP}px)`;
  }

  // the pointer and the keys

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointermove", (event) => this.moved(event));
    canvas.addEventListener("pointerleave", () => this.drag || this.group.point(null));
    canvas.addEventListener("pointerdown", (event) => this.pressed(event));
    canvas.addEventListener("pointerup", () => this.released());
    canvas.addEventListener("pointercancel", () => this.cancelled());
    canvas.addEventListener("dblclick", () => this.group.zoom(null));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => this.group.point(null));
  }

  valueAt(px) {
    const { left, right } = this.area;
    const { begin, end } = this.scale;
    return begin + ((px - left) / (right - left || 1)) * (end - begin);
  }

  moved(event) {
    if (!this.scale) return;
    const x = event.clientX - this.canvas.getBoundingClientRect().left;
    if (this.drag) this.drag[1] = x;
    const at = nearest(this.lines[0].x, this.valueAt(x));
    this.group.cursor = null;
    this.group.point(at < 0 ? null : this.lines[0].x[at]);
  }

  pressed(event) {
    if (!this.scale || event.button || event.pointerType === "touch") return;
    const x = event.clientX - this.canvas.getBoundingClientRect().left;
    this.drag = [x, x];
    this.canvas.setPointerCapture(event.pointerId);
  }

  released() {
    const drag = this.drag;
    this.drag = null;
    if (!drag || Math.abs(drag[1] - drag[0]) < LEAST_DRAG_PX) return this.draw();
    const range = [Math.min(...drag), Math.max(...drag)].map((px) => this.valueAt(px));
    return this.group.zoom(range);
  }

  cancelled() {
    this.drag = null;
    this.draw();
  }

  key(event) {
    if (event.key === "Escape" && this.group.range) this.group.zoom(null);
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const { x } = this.lines[0] || { x: [] };
      const before = this.group.cursor === null ? x.length : nearest(x, this.group.cursor);
      const at = before + (event.key === "ArrowLeft" ? -1 : 1);
      if (x.length) this.group.point(x[Math.min(x.length - 1, Math.max(0, at))]);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

function lastOf(values) {
  return values.findLast((value) => value !== null);
}

/** The index of the number nearest to `value` in rising numbers; -1 if there is none. */
function nearest(numbers, value) {
  let [low, high] = [0, numbers.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low > 0 && value - numbers[low - 1] < numbers[low] - value ? low - 1 : low < numbers.length ? low : -1;
}
