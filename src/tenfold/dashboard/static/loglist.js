/**
 * The lines of the Logs view on the screen: a virtual list with rows of one height. Rows that stay
 * in sight are kept, so that what is selected stays selected.
 */

import { el, fill, keyed } from "./dom.js";
import { clock, date, plain, taskColour } from "./format.js";

export const ROW_PX = 20;
const SPARE = 40;
const NEAR_PX = 24;
const LONGEST = 4000;
const ERROR = /\b(error|exception|traceback|fatal|critical|failed)\b|^[EF]\d{4} |^\S*Error\b/i;
const WARNING = /\bwarn(ing)?\b|^W\d{4} /i;

/** @param {{scrolled: (where: {top: boolean, bottom: boolean, byHand: boolean}) => void}} to */
export function logList(to) {
  const body = el("div", { class: "log-lines" });
  const element = el(
    "div",
    {
      class: "log-scroll scroll",
      tabindex: 0,
      role: "log",
      "aria-live": "off",
      "aria-label": "Log lines",
    },
    body,
  );
  const open = el("div", { class: "log-open", hidden: true, "aria-label": "Unfinished lines" });
  let openShape = "";
  let lines = [];
  let find = null;
  let left = 0; // where we left it: anywhere else, somebody has scrolled
  element.addEventListener(
    "scroll",
    () => {
      const byHand = Math.abs(element.scrollTop - left) > 1;
      left = element.scrollTop;
      draw();
      to.scrolled({ top: left < 20 * ROW_PX, bottom: atEnd(), byHand });
    },
    { passive: true },
  );
  new ResizeObserver(draw).observe(element);

  /** The newest text of lines that are not finished, below all others. */
  function showOpen(rows, more) {
    const shape = JSON.stringify([rows, more, Boolean(find)]);
    if (shape === openShape) return;
    openShape = shape;
    open.hidden = !rows.length;
    fill(
      open,
      rows.map((line) => makeRow(line, find)),
      more ? el("div", { class: "log-line note" }, `… and ${more} more`) : null,
    );
  }

  function atEnd() {
    return element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
  }

  /** Show other lines; `shift`: rows that came before (or, negative, went from before) the rest. */
  function show(wanted, { shift = 0, end = false, pattern = find } = {}) {
    const top = element.scrollTop;
    if (pattern !== find) (body.replaceChildren(), (body.keyedRows = new Map()));
    lines = wanted;
    find = pattern;
    body.style.height = `${lines.length * ROW_PX}px`;
    move(end ? element.scrollHeight : Math.max(0, top + shift * ROW_PX));
    draw();
  }

  function move(top) {
    element.scrollTop = top;
    left = element.scrollTop;
  }

  function draw() {
    const first = Math.max(0, Math.floor(element.scrollTop / ROW_PX) - SPARE);
    const count = Math.ceil(element.clientHeight / ROW_PX) + 2 * SPARE;
    const part = lines
      .slice(first, first + count)
      .map((line, index) => ({ line, row: first + index }));
    keyed(
      body,
      part,
      ({ line }) => line.id,
      ({ line }) => makeRow(line, find),
      place,
    );
  }

  return {
    element,
    open,
    show,
    showOpen,
    draw,
    atEnd,
    toEnd: () => move(element.scrollHeight),
    toTop: () => move(0),
  };
}

function place(element, { row }) {
  const wanted = `translateY(${row * ROW_PX}px)`;
  if (element.style.transform !== wanted) element.style.transform = wanted;
}

function makeRow(line, find) {
  const text = plain(line.text).slice(0, LONGEST);
  const level = ERROR.test(text) ? "error" : WARNING.test(text) ? "warning" : null;
  return el(
    "div",
    { class: "log-line", data: { stream: line.stream, task: line.task }, "data-level": level },
    el("span", { class: "log-time", title: date(line.time) }, clock(line.time)),
    " ",
    el("span", { class: "log-task", data: { colour: taskColour(line.task) } }, line.task),
    " ",
    el("span", { class: "log-text" }, line.marks ? cut(text, line.marks) : marked(text, find)),
    "\n", // so that lines which are copied stay lines
  );
}

/** The text, with what was searched for set off. */
function marked(text, find) {
  if (!find) return [text];
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(find)) {
    if (!found[0] || parts.length > 40) break;
    parts.push(text.slice(at, found.index), el("mark", {}, found[0]));
    at = found.index + found[0].length;
  }
  parts.push(text.slice(at));
  return parts;
}

/** The text, with what is between each two places set off. */
function cut(text, marks) {
  const parts = [];
  let at = 0;
  for (const [begin, end] of marks) {
    parts.push(text.slice(at, begin), el("mark", {}, text.slice(begin, end)));
    at = end;
  }
  parts.push(text.slice(at));
  return parts;
}
