/**
 * The last lines that matter: of the suspected or failed task, else of the leading task.
 */

import { alarm } from "./alarm.js";
import { el, fill, say } from "./dom.js";
import { clock, label, plain, taskColour } from "./format.js";
import { viewLink } from "./header.js";
import { stateOf } from "./states.js";
import { over, store } from "./store.js";

const LINES = 14;
const LEADERS = ["chief", "master"];

/** The panel; `wanted` is the request for its lines, or null while nothing can be new. */
export function tailPanel() {
  const element = el("ol", { class: "tail last-lines", tabindex: 0, "aria-label": "Last lines" });
  const note = el("span", { class: "latest" });
  let told = "";
  let done = "";

  function wanted() {
    const tasks = relevant();
    const key = `${tasks.join()} ${over()}`;
    if (over() && done === key) return null;
    done = key;
    say(note, tasks.length ? `of ${tasks.join(", ")}` : "");
    return { tasks: tasks.map(label), lines: LINES, direction: "back" };
  }

  function show({ lines }) {
    const key = JSON.stringify(lines);
    if (key === told) return;
    told = key;
    const low = element.scrollHeight - element.scrollTop - element.clientHeight < 8;
    fill(element, lines.length ? lines.map(makeLine) : el("li", { class: "note" }, "No output yet."));
    if (low) element.scrollTop = element.scrollHeight;
  }

  return { element, note, wanted, show };
}

function makeLine(line) {
  const link = viewLink("logs", `?task=${encodeURIComponent(line.task)}&at=${line.time - 2}`);
  return el(
    "li",
    { data: { stream: line.stream, level: line.level || "" } },
    el("a", { class: "log-time", href: link, title: "Show the logs at that time" }, clock(line.time, 0)),
    " ",
    el("span", { class: "task", data: { colour: taskColour(line.task) } }, line.task),
    " ",
    plain(line.text) || " ",
  );
}

/** Whether the task has ended and will be started again. */
function restarts(task) {
  const { live, terminal } = stateOf(task.state);
  return task.restarts > 0 && !live && !terminal;
}

/** At most four tasks: those in trouble, and the leading task. @returns {string[]} */
function relevant() {
  const found = new Set([alarm()?.task, store.health?.culprit]);
  const all = [...store.tasks.values()];
  for (const task of all) if (found.size < 4 && restarts(task)) found.add(task.task);
  const leads =
    all.find((task) => LEADERS.includes(task.job)) ||
    all.find((task) => task.progress) ||
    all.find((task) => !task.url) ||
    all[0];
  if (leads) found.add(leads.task);
  return [...found].filter((task) => task && store.tasks.has(task)).slice(0, 4);
}
