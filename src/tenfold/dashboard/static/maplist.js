/**
 * The map for screen readers, the keyboard and tests: a list of buttons, one a task, laid over the
 * canvas without being seen, and a table of the edges below it.
 */

import { marked } from "./alarm.js";
import { el, keyed, say, set } from "./dom.js";
import { bytes, plural, rate } from "./format.js";
import { busiest, edgeKey, store } from "./store.js";

const EACH_TABBABLE = 40;
const ROWS = 500;
const RANK = { cut: 0, silent: 1, "not planned": 2, "as planned": 3 };
const ALARMS = { hang: "hangs", failed: "failed first", lost: "lost" };
const ARROWS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]);

/**
 * @param {{select: (task: string) => void, focus: (task: string|null) => void,
 *   arrow: (task: string, key: string) => string|null}} to
 */
export function mapList(to) {
  const nodes = el("ul", { class: "hidden-list", "aria-label": "Tasks on the map" });
  const note = el("p", { class: "note", hidden: true });
  const body = el("tbody");
  const head = ["from", "to", "rate", "total", "connections", "mark"];
  const summary = el("summary", {}, "Edges as a table");
  const edges = el(
    "details",
    { class: "edge-table" },
    summary,
    note,
    el(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Edges" },
      el(
        "table",
        {},
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            head.map((word) =>
              el(
                "th",
                {
                  scope: "col",
                  class: ["rate", "total", "connections"].includes(word) ? "number" : null,
                },
                word,
              ),
            ),
          ),
        ),
        body,
      ),
    ),
  );
  let chosen = null;

  nodes.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) to.select(button.dataset.task);
  });
  nodes.addEventListener("focusin", (event) => to.focus(event.target.dataset.task || null));
  nodes.addEventListener("focusout", () => to.focus(null));
  nodes.addEventListener("keydown", (event) => {
    if (!ARROWS.has(event.key)) return;
    event.preventDefault();
    const next = to.arrow(event.target.dataset.task, event.key);
    const button = next && buttonOf(nodes, next);
    if (!button) return;
    if (button.tabIndex < 0) {
      event.target.tabIndex = -1;
      button.tabIndex = 0;
    }
    button.focus({ preventScroll: true });
  });
  edges.addEventListener("toggle", rows);

  function update(rates) {
    const alarmed = marked();
    const many = store.tasks.size > EACH_TABBABLE;
    let first = true;
    keyed(
      nodes,
      store.tasks.values(),
      (task) => task.task,
      makeNode,
      (item, task) => {
        const button = item.firstChild;
        if (button.tabIndex !== 0 && (!many || (first && !nodes.querySelector("[tabindex='0']"))))
          button.tabIndex = 0;
        first = false;
        const flow = rates.get(task.task);
        const bad = alarmed?.task === task.task ? `, ${ALARMS[alarmed.kind]}` : "";
        const words = `${task.task} ${task.state}${bad}${flow ? `, ${rate(flow)}` : ""}`;
        if (button.words !== words) set(button, "aria-label", (button.words = words));
        if (button.dataset.state !== task.state) button.dataset.state = task.state;
        set(button, "data-alarm", alarmed?.task === task.task ? alarmed.kind : null);
      },
    );
    rows();
  }

  function rows() {
    const { edges: all } = store.map;
    say(summary, `${plural(all.size, "edge")} as a table`);
    if (all.size > ROWS && !edges.open) return;
    const sorted = [...all.values()].sort(
      (a, b) => RANK[a.mark] - RANK[b.mark] || (all.size > ROWS ? busiest(a, b) : 0),
    );
    note.hidden = all.size <= ROWS;
    say(
      note,
      `Showing ${ROWS} of ${plural(all.size, "edge")}: cut, silent and unplanned ones first, then the busiest. Select a task to see all its edges.`,
    );
    keyed(body, sorted.slice(0, ROWS), edgeKey, makeRow, updateRow);
  }

  function selected(task) {
    for (const name of [chosen, task]) {
      const button = name && buttonOf(nodes, name);
      if (button) set(button, "aria-pressed", name === task);
    }
    chosen = task;
  }

  return { nodes, edges, update, selected };
}

function buttonOf(nodes, task) {
  return nodes.keyedRows?.get(task)?.firstChild;
}

function makeNode(task) {
  return el("li", {}, el("button", { type: "button", tabindex: -1, data: { task: task.task } }));
}

/** A row of a table of edges, as tests read it. */
export function makeRow(edge) {
  const row = el("tr", { data: { from: edge.from, to: edge.to } });
  for (const kind of ["", "", "number", "number", "number", ""])
    row.append(el("td", { class: kind || null }));
  say(row.cells[0], edge.from);
  say(row.cells[1], edge.to);
  return row;
}

/** Bring such a row up to date. */
export function updateRow(row, edge) {
  set(row, "data-mark", edge.mark);
  set(row, "data-bytes", edge.bytes ?? "");
  say(row.cells[2], edge.rate_bytes_s === null ? "unknown" : rate(edge.rate_bytes_s));
  say(row.cells[3], edge.bytes === null ? "unknown" : bytes(edge.bytes));
  say(row.cells[4], edge.connections ?? "");
  say(row.cells[5], edge.mark);
}
