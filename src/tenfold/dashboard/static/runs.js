/**
 * The Runs view: what ran, how it ended, and two of them side by side.
 */

import { every, get } from "./api.js";
import { el, fill, pill, say, set, setPill } from "./dom.js";
import { date, duration, figure, plain, plural } from "./format.js";
import { now, store } from "./store.js";
import { table } from "./table.js";

const REFRESH_S = 5;

const idOf = (run) => `${run.cluster}/${run.run}`;
const took = (run) =>
  run.started
    ? (run.ended || (run.alive ? now() : run.seen) || null) &&
      (run.ended || (run.alive ? now() : run.seen)) - run.started
    : null;

/** @returns {import("./views.js").View} */
export function runs() {
  /** The two that were picked last, the older first. @type {string[]} */
  let picked = [];
  let stop = null;
  const note = el("p", { class: "note", role: "status" }, "Reading…");
  const compare = el(
    "button",
    { type: "button", disabled: true, on: { click: () => show2(picked) } },
    "Compare",
  );
  const result = el("section", { class: "compare", "aria-label": "Comparison", hidden: true });
  const rows = table({ columns: columns(pick, () => picked), key: idOf, label: "Runs", row: mark });
  const element = el(
    "section",
    { class: "page", "aria-label": "Runs" },
    el("div", { class: "tools-row" }, compare, note),
    result,
    rows.element,
  );

  async function refresh(signal) {
    if (document.hidden) return;
    const said = await get("api/runs", signal);
    const bad = Object.keys(said.damaged || {}).length;
    say(
      note,
      `${plural(said.runs.length, "run")}${bad ? `, ${plural(bad, "damaged file")}` : ""}. Select two runs to compare them.`,
    );
    rows.show(said.runs);
  }

  function pick(id, on) {
    picked = picked.filter((one) => one !== id);
    if (on) picked = [...picked, id].slice(-2);
    compare.disabled = picked.length !== 2;
    rows.again();
  }

  async function show2([a, b]) {
    result.hidden = false;
    fill(result, el("p", { class: "note" }, "Comparing…"));
    try {
      const query = new URLSearchParams({ a, b });
      fill(result, comparison(await get(`api/compare?${query}`), a, b));
      result.scrollIntoView({ block: "nearest" });
    } catch (error) {
      fill(result, el("p", { class: "note", "data-tone": "bad" }, error.message));
    }
  }

  return {
    element,
    show: () => (stop ??= every(REFRESH_S, refresh, (error) => say(note, error.message))),
    hide: () => (stop = stop?.()),
    update: (topics) => topics.has("second") && rows.again(),
  };
}

/** @returns {import("./table.js").Column[]} */
function columns(pick, picked) {
  const box = (cell, run) => {
    if (!cell.firstChild) {
      const made = el("input", {
        type: "checkbox",
        on: { change: (event) => pick(event.target.dataset.run, event.target.checked) },
      });
      cell.append(made);
    }
    set(cell.firstChild, "data-run", idOf(run));
    set(cell.firstChild, "aria-label", `Compare ${idOf(run)}`);
    cell.firstChild.checked = picked().includes(idOf(run));
  };
  return [
    { name: "pick", title: "", value: () => "", paint: box },
    { name: "cluster", title: "Cluster", value: (run) => run.cluster },
    { name: "run", title: "Run", value: (run) => run.run, paint: link },
    { name: "state", title: "State", value: (run) => run.state, paint: state },
    {
      name: "started",
      title: "Started",
      number: true,
      value: (run) => run.started,
      show: (run) => date(run.started),
    },
    { name: "took", title: "Duration", number: true, value: took, show: (run) => duration(took(run)) },
    {
      name: "tasks",
      title: "Tasks",
      number: true,
      value: (run) => Object.values(run.tasks || {}).reduce((sum, many) => sum + many, 0),
    },
    { name: "cell", title: "Cell", value: (run) => run.cell },
    { name: "tags", title: "Tags", value: (run) => (run.tags || []).join(", ") },
    { name: "note", title: "Note", value: (run) => (run.note || "").split("\n")[0].slice(0, 60) },
    {
      name: "reason",
      title: "Why",
      value: because,
      show: (run) => plain(because(run)),
    },
  ];
}

/** The words after `CLUSTER STATE: ` of the headline that all views share. */
function because(run) {
  const start = `${run.cluster} ${run.state}: `;
  const told = run.headline || "";
  return told.startsWith(start) ? told.slice(start.length) : run.reason || "";
}

function mark(row, run) {
  set(row, "data-run", idOf(run));
  set(row, "data-state", run.state);
  set(
    row,
    "aria-current",
    run.cluster === store.route.cluster && run.run === store.route.run ? "true" : null,
  );
}

function link(cell, run) {
  if (!cell.firstChild) cell.append(el("a", {}));
  say(cell.firstChild, run.run);
  set(
    cell.firstChild,
    "href",
    `#/${encodeURIComponent(run.cluster)}/${encodeURIComponent(run.run)}/overview`,
  );
}

function state(cell, run) {
  if (!cell.firstChild) cell.append(pill(run.state));
  setPill(cell.firstChild, run.state);
}

function comparison({ plan, figures }, a, b) {
  return [
    el("h2", {}, a, " and ", b),
    part(
      "Differences between the plans",
      plan.map(({ path, a: x, b: y }) => [path, x, y]),
      "The plans are the same.",
      [a, b],
    ),
    part(
      "Final values",
      figures.map(({ name, a: x, b: y }) => [name, x, y]),
      "Neither run reported values.",
      [a, b],
    ),
  ];
}

function part(title, rows, otherwise, [a, b]) {
  if (!rows.length) return [el("h3", {}, title), el("p", { class: "note" }, otherwise)];
  const numbers = rows.every((row) =>
    row.slice(1).every((value) => value === null || typeof value === "number"),
  );
  const kind = numbers ? "number" : null;
  return [
    el("h3", {}, title),
    el(
      "div",
      { class: "scroll" },
      el(
        "table",
        {},
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            el("th", {}, ""),
            el("th", { class: kind }, a),
            el("th", { class: kind }, b),
          ),
        ),
        el(
          "tbody",
          {},
          rows.map(([name, x, y]) =>
            el(
              "tr",
              {},
              el("th", { scope: "row" }, name),
              el("td", { class: kind }, words(x)),
              el("td", { class: kind }, words(y)),
            ),
          ),
        ),
      ),
    ),
  ];
}

function words(value) {
  if (value === null || value === undefined) return "–";
  return typeof value === "object" ? JSON.stringify(value) : figure(value);
}
