/**
 * A small line on a canvas: how a task's CPU or memory went.
 */

import { el } from "./dom.js";
import { prepare } from "./paint.js";
import { colour } from "./theme.js";

const WIDTH = 120;
const HEIGHT = 28;

/** A canvas for `drawSpark`. */
export function spark() {
  return el("canvas", { class: "spark", width: WIDTH, height: HEIGHT, "aria-hidden": "true" });
}

/** Draw values over times, from zero to their highest; gaps where a value is null. */
export function drawSpark(canvas, times, values) {
  const pen = prepare(canvas, WIDTH, HEIGHT);
  if (times.length < 2) return;
  const [first, last] = [times[0], times.at(-1)];
  const top = Math.max(...values.map((value) => value || 0)) * 1.1 || 1;
  const x = (time) => 1 + ((time - first) / (last - first || 1)) * (WIDTH - 4);
  const y = (value) => HEIGHT - 2 - (value / top) * (HEIGHT - 5);
  pen.beginPath();
  let down = false;
  values.forEach((value, index) => {
    if (value === null || value === undefined) down = false;
    else if (down) pen.lineTo(x(times[index]), y(value));
    else pen.moveTo(x(times[index]), y(value));
    down = value !== null && value !== undefined;
  });
  pen.strokeStyle = colour("map-flow");
  pen.lineWidth = 1.5;
  pen.lineJoin = "round";
  pen.stroke();
  const end = values.findLastIndex((value) => value !== null && value !== undefined);
  if (end < 0) return;
  pen.beginPath();
  pen.arc(x(times[end]), y(values[end]), 2, 0, 2 * Math.PI);
  pen.fillStyle = colour("map-flow");
  pen.fill();
}
