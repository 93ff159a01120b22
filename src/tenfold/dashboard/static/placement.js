/**
 * The Placement view: which variable lies on which server, how even that is, what each worker does.
 */

import { every, get, runPath } from "./api.js";
import { el, fill, keyed, say } from "./dom.js";
import { bytes, plural, taskColour } from "./format.js";
import { jobOf } from "./scene.js";
import { table } from "./table.js";

const REFRESH_S = 10;

/** @type {import("./table.js").Column[]} */
const COLUMNS = [
  { name: "variable", title: "Variable", value: (one) => one.variable || one.name },
  {
    name: "part",
    title: "Part",
    number: true,
    value: (one) => one.part,
    show: (one) => (one.parts > 1 ? `${one.part + 1} of ${one.parts}` : "whole"),
  },
  { name: "shape", title: "Shape", value: (one) => (one.shape || []).join(" × ") || "scalar" },
  { name: "dtype", title: "Type", value: (one) => one.dtype },
  {
    name: "bytes",
    title: "Bytes",
    number: true,
    value: (one) => one.bytes,
    show: (one) => bytes(one.bytes),
  },
  { name: "task", title: "Server", value: (one) => one.task, paint: server },
  { name: "device", title: "Device", value: (one) => one.device },
];

/** @returns {import("./views.js").View} */
export function placement() {
  const told = el("p", { class: "note", role: "status" }, "Reading…");
  const balance = el("p", { class: "balance" });
  const bars = el("ul", { class: "bars" });
  const rows = table({
    columns: COLUMNS,
    key: (one) => `${one.name} ${one.task}`,
    label: "Variables",
  });
  const workers = el("ul", { class: "roles" });
  const parts = el(
    "div",
    { class: "placement", hidden: true },
    el("section", {}, el("h2", {}, "Servers"), balance, bars),
    el("section", { class: "workers" }, el("h2", {}, "Roles"), workers),
    el("section", { class: "wide" }, el("h2", {}, "Variables"), rows.element),
  );
  const element = el("section", { class: "page", "aria-label": "Placement" }, told, parts);
  let stop = null;

  async function refresh(signal) {
    if (document.hidden) return;
    const said = await get(runPath("/placement"), signal);
    const known = said.variables.length > 0;
    parts.hidden = !known && !said.workers.length;
    say(
      told,
      known
        ? `Reported by ${said.told_by || "a task"}: ${plural(said.variables.length, "part")}, ${bytes(total(said.servers))} in total.`
        : "No task has reported the placement of its variables. With parameter servers, the chief reports it after it has created them.",
    );
    servers(said);
    roles(said.workers);
    rows.show(said.variables);
    rows.element.parentElement.hidden = !known;
    bars.parentElement.hidden = !known || !said.servers.length;
  }

  function servers({ servers: all, balance: share }) {
    const most = Math.max(1, ...all.map((one) => one.bytes));
    say(
      balance,
      share
        ? `The largest server holds ${share.toFixed(share < 1.1 ? 3 : 2)} × the mean${share < 1.05 ? ": balanced." : share > 1.5 ? ": uneven." : "."}`
        : "",
    );
    keyed(
      bars,
      all,
      (one) => one.task,
      makeBar,
      (row, one) => {
        row.children[1].firstChild.style.transform = `scaleX(${one.bytes / most})`;
        say(row.children[2], `${bytes(one.bytes)}, ${plural(one.parts, "part")}`);
      },
    );
  }

  function roles(all) {
    const groups = new Map();
    for (const { task, role } of all) {
      const key = `${jobOf(task)} ${role}`;
      if (!groups.has(key)) groups.set(key, { role, tasks: [] });
      groups.get(key).tasks.push(task);
    }
    fill(
      workers,
      [...groups.values()].map(({ role, tasks }) =>
        el("li", {}, el("b", {}, range(tasks)), el("span", {}, role)),
      ),
    );
  }

  return {
    element,
    show: () => (stop ??= every(REFRESH_S, refresh, (error) => say(told, error.message))),
    hide: () => (stop = stop?.()),
    update() {},
  };
}

function total(servers) {
  return servers.reduce((sum, one) => sum + one.bytes, 0);
}

function makeBar(one) {
  return el(
    "li",
    { data: { task: one.task } },
    el("span", { class: "task", data: { colour: taskColour(one.task) } }, one.task),
    el("div", { class: "bar-ground" }, el("div", { class: "bar-full" })),
    el("span", { class: "number" }),
  );
}

/** `worker/0 – worker/7`, or the names one by one where they are few. */
function range(tasks) {
  return tasks.length > 3 ? `${tasks[0]} – ${tasks.at(-1)} (${tasks.length})` : tasks.join(", ");
}

function server(cell, one) {
  if (!cell.firstChild) cell.append(el("span", { class: "task" }));
  say(cell.firstChild, one.task);
  cell.firstChild.dataset.colour = one.task ? taskColour(one.task) : "";
}
