/**
 * A sortable table that stays fast with thousands of rows: only what can be seen is in the document
 * once there are more than 200.
 */

import { el, keyed, say, set } from "./dom.js";

const ALL_AT_ONCE = 200;
const ROW_PX = 34;
const SPARE = 12;

/**
 * @typedef {{name: string, title: string, number?: boolean, value: (row: any) => any,
 *   show?: (row: any) => string, paint?: (cell: HTMLElement, row: any) => void}} Column
 */

/**
 * `sort`: the column it begins with; without one, rows stay in the order they are given in.
 *
 * @param {{columns: Column[], key: (row: any) => string, sort?: string, label: string,
 *   row?: (element: HTMLElement, row: any) => void}} given
 */
export function table(given) {
  let rows = [];
  let by = given.columns.find((column) => column.name === given.sort);
  let down = false;
  const heads = given.columns.map((column) =>
    el(
      "th",
      { scope: "col", class: column.number ? "number" : null },
      el("button", { type: "button", on: { click: () => sortBy(column) } }, column.title),
    ),
  );
  const before = el(
    "tbody",
    { "aria-hidden": "true" },
    el("tr", {}, el("td", { colspan: given.columns.length })),
  );
  const body = el("tbody");
  const after = el(
    "tbody",
    { "aria-hidden": "true" },
    el("tr", {}, el("td", { colspan: given.columns.length })),
  );
  const inner = el(
    "table",
    { class: "big" },
    el("thead", {}, el("tr", {}, heads)),
    before,
    body,
    after,
  );
  const element = el(
    "div",
    { class: "scroll table-scroll", tabindex: 0, role: "region", "aria-label": given.label },
    inner,
  );
  element.addEventListener("scroll", () => rows.length > ALL_AT_ONCE && draw(), { passive: true });
  new ResizeObserver(() => rows.length > ALL_AT_ONCE && draw()).observe(element);

  function sortBy(column) {
    down = by === column ? !down : Boolean(column.number);
    by = column;
    order();
  }

  function order() {
    const way = down ? -1 : 1;
    if (by) rows = [...rows].sort((a, b) => way * compare(by.value(a), by.value(b), down));
    for (const [index, column] of given.columns.entries()) {
      set(heads[index], "aria-sort", column !== by ? null : down ? "descending" : "ascending");
    }
    draw();
  }

  function show(wanted) {
    rows = wanted;
    order();
  }

  function draw() {
    const many = rows.length > ALL_AT_ONCE;
    const first = many ? Math.max(0, Math.floor(element.scrollTop / ROW_PX) - SPARE) : 0;
    const count = many ? Math.ceil(element.clientHeight / ROW_PX) + 2 * SPARE : rows.length;
    const part = rows.slice(first, first + count);
    space(before, first);
    space(after, rows.length - first - part.length);
    set(inner, "aria-rowcount", rows.length + 1);
    keyed(body, part, given.key, makeRow, updateRow);
  }

  function makeRow() {
    return el(
      "tr",
      {},
      given.columns.map((column) => el("td", { class: column.number ? "number" : null })),
    );
  }

  function updateRow(element, row) {
    given.row?.(element, row);
    given.columns.forEach((column, index) => {
      if (column.paint) column.paint(element.cells[index], row);
      else say(element.cells[index], (column.show || column.value)(row));
    });
  }

  return { element, show, again: draw };
}

function space(part, rows) {
  part.hidden = rows <= 0;
  part.firstChild.firstChild.style.height = `${rows * ROW_PX}px`;
}

/** What is not known comes last, whichever way it is sorted. */
function compare(a, b, down) {
  const [noA, noB] = [empty(a), empty(b)];
  if (noA || noB) return noA === noB ? 0 : (noA ? 1 : -1) * (down ? -1 : 1);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function empty(value) {
  return value === null || value === undefined || value === "";
}
