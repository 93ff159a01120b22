/**
 * The Tasks view: every task as a row, sortable, filtered by what is typed.
 */

import { el, pill, say, set, setPill } from "./dom.js";
import { bytes, cores, exitWords, plural, since, speed, taskColour } from "./format.js";
import { viewLink } from "./header.js";
import { counts, now, store } from "./store.js";
import { table } from "./table.js";

const started = (task) => (task.ended ? null : task.started && now() - task.started);

/** @type {import("./table.js").Column[]} */
const COLUMNS = [
  { name: "task", title: "Task", value: (task) => task.task, paint: name },
  { name: "state", title: "State", value: (task) => task.state, paint: state },
  {
    name: "since",
    title: "Up",
    number: true,
    value: started,
    show: (task) => since(task, now(), store.head?.seen),
  },
  { name: "address", title: "Address", value: (task) => task.address },
  { name: "host", title: "Host", value: (task) => task.host },
  { name: "restarts", title: "Restarts", number: true, value: (task) => task.restarts || null },
  { name: "exit", title: "Exit", number: true, value: exitWords },
  {
    name: "cpu",
    title: "CPU",
    number: true,
    value: (task) => task.cpu,
    show: (task) => cores(task.cpu),
  },
  {
    name: "memory",
    title: "Memory",
    number: true,
    value: (task) => task.memory,
    show: (task) => bytes(task.memory),
  },
  {
    name: "speed",
    title: "Speed",
    number: true,
    value: (task) => task.progress?.rate,
    show: (task) => speed(task.progress),
  },
];

/** @returns {import("./views.js").View} */
export function tasks() {
  const filter = el("input", {
    type: "search",
    placeholder: "Filter: worker, failed, host …",
    "aria-label": "Filter tasks",
    on: { input: show },
  });
  const count = el("p", { class: "note", role: "status" });
  const rows = table({ columns: COLUMNS, key: (task) => task.task, label: "Tasks", row: mark });
  const element = el(
    "section",
    { class: "page", "aria-label": "Tasks" },
    el("div", { class: "tools-row" }, filter, count),
    rows.element,
  );

  function show() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [...store.tasks.values()].filter((task) => {
      const text =
        `${task.task} ${task.state} ${task.address || ""} ${task.host || ""} ${exitWords(task)}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    rows.show(found);
    const states = Object.entries(counts(found)).map(
      ([state, many]) => `${many.toLocaleString("en-US")} ${state}`,
    );
    const shown =
      found.length === store.tasks.size
        ? plural(found.length, "task")
        : `${found.length} of ${plural(store.tasks.size, "task")}`;
    say(count, `${shown}: ${states.join(", ")}`);
  }

  function update(topics) {
    if (topics.has("tasks") || topics.has("head")) show();
    else if (topics.has("second")) rows.again();
  }

  return { element, show() {}, hide() {}, update, search: () => filter };
}

function mark(row, task) {
  set(row, "data-task", task.task);
  set(row, "data-state", task.state);
  set(row, "data-first", isFirst(task) ? "true" : null);
}

/** Whether this task's failure was the first. */
function isFirst(task) {
  return store.head?.first_failure?.task === task.task;
}

function name(cell, task) {
  if (!cell.firstChild) cell.append(el("a", { class: "task", title: "Show the logs" }));
  const link = cell.firstChild;
  say(link, task.task);
  set(link, "href", viewLink("logs", `?task=${encodeURIComponent(task.task)}`));
  set(link, "data-colour", taskColour(task.task));
}

function state(cell, task) {
  if (!cell.firstChild) cell.append(pill(task.state));
  setPill(cell.firstChild, task.state);
  if (isFirst(task) && !cell.lastChild.matches(".first-mark"))
    cell.append(el("span", { class: "first-mark" }, "first failure"));
  else if (!isFirst(task) && cell.lastChild.matches(".first-mark")) cell.lastChild.remove();
  const words = isFirst(task) ? store.head.headline : task.waits;
  set(cell, "title", words || null);
}
