/**
 * The lines of the Logs view on the screen: a virtual list. Rows have one height; on a phone lines
 * wrap, and a row is as high as its line needs. Rows that stay in sight are kept, so that what is
 * selected stays selected.
 */

import { el, fill, keyed } from "./dom.js";
import { clock, date, plain, taskColour } from "./format.js";
import { LogRows, LONGEST, ROW_PX } from "./logrows.js";


const SPARE = 40;
const NEAR_PX = 24;
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
  let rows = new LogRows([], element);
  let find = null;
  let left = 0; // where we left it: anywhere else, somebody has scrolled
  element.addEventListener(
    "scroll",
    () => {
      const byHand = Math.abs(element.scrollTop - left) > 1;
      left = element.scrollTop;
      ended = atEnd();
      draw();
      to.scrolled({ top: left < 20 * ROW_PX, bottom: atEnd(), byHand });
    },
    { passive: true },
  );
  let ended = true;
  new ResizeObserver(() => resized()).observe(element);

  /** On another width other lines wrap: the line at the top stays there. */
  function resized() {
    const [first, end] = [rows.at(element.scrollTop), ended];
    if (rows.fits(element)) {
      if (end) move(element.scrollHeight);
      return draw();
    }
    rows = new LogRows(lines, element);
    body.style.height = `${rows.height}px`;
    body.replaceChildren();
    body.keyedRows = new Map();
    move(end ? element.scrollHeight : rows.top(first));
    return draw();
  }

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
    const above = element.scrollTop;
    const before = rows;
    if (pattern !== find) (body.replaceChildren(), (body.keyedRows = new Map()));
    lines = wanted;
    find = pattern;
    rows = new LogRows(lines, element);
    body.style.height = `${rows.height}px`;
    const moved = shift < 0 ? -before.top(-shift) : rows.top(shift);
    move(end ? element.scrollHeight : Math.max(0, above + moved));
    draw();
  }

  function move(top) {
    element.scrollTop = top;
    left = element.scrollTop;
    ended = atEnd();
  }

  function draw() {
    const first = Math.max(0, rows.at(element.scrollTop) - SPARE);
    const last = rows.at(element.scrollTop + element.clientHeight) + SPARE;
    const part = lines
      .slice(first, last + 1)
      .map((line, index) => ({ line, row: first + index }));
    keyed(
      body,
      part,
      ({ line }) => line.id,
      ({ line }) => makeRow(line, find, rows.wraps),
      (made, { row }) => place(made, rows, row),
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

function place(element, rows, row) {
  const wanted = `translateY(${rows.top(row)}px)`;
  if (element.style.transform !== wanted) element.style.transform = wanted;
}

function makeRow(line, find, wraps) {
  const text = plain(line.text).slice(0, LONGEST);
  const level = ERROR.test(text) ? "error" : WARNING.test(text) ? "warning" : null;
  return el(
    "div",
    { class: wraps ? "log-line wraps" : "log-line", data: { stream: line.stream, task: line.task }, "data-level": level },
    el("span", { class: "log-time", title: date(line.time) }, clock(line.time, wraps ? 0 : 3)),
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
