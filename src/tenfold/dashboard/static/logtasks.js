/**
 * Which tasks' logs are read: jobs with their tasks as check boxes. Nothing chosen means all.
 */

import { el, fill, say } from "./dom.js";
import { label, taskColour } from "./format.js";
import { runPath, save } from "./api.js";
import { jobs } from "./store.js";

/** @param {() => void} changed */
export function logTasks(changed) {
  const chosen = new Set();
  const open = new Set();
  const list = el("div", { class: "choose" });
  const summary = el("summary", {}, "All tasks");
  const clear = el(
    "button",
    { type: "button", class: "link", on: { click: () => choose([]) } },
    "all",
  );
  const element = el("details", { class: "choose-box" }, summary, clear, list);
  element.open = matchMedia("(min-width: 760px)").matches;
  let drawn = "";

  function choose(tasks) {
    chosen.clear();
    for (const task of tasks) chosen.add(task);
    draw(true);
    changed();
  }

  /** What the server is asked for: whole jobs by their name, nothing for all. */
  function wanted() {
    const asked = [];
    for (const [job, tasks] of jobs()) {
      const some = tasks.filter((task) => chosen.has(task.task));
      if (some.length === tasks.length) asked.push(job);
      else asked.push(...some.map((task) => task.task));
    }
    return chosen.size ? asked : [];
  }

  function draw(force = false) {
    const shape = [...jobs()].map(([job, tasks]) => `${job} ${tasks.length}`).join();
    if (!force && shape === drawn) return;
    drawn = shape;
    say(summary, chosen.size ? `${chosen.size} chosen` : "All tasks");
    clear.hidden = !chosen.size;
    fill(
      list,
      [...jobs()].map(([job, tasks]) => jobPart(job, tasks)),
    );
  }

  function jobPart(job, tasks) {
    const some = tasks.filter((task) => chosen.has(task.task)).length;
    const box = el("input", {
      type: "checkbox",
      data: { job },
      on: { change: () => toggle(tasks, box.checked) },
    });
    box.checked = some === tasks.length;
    box.indeterminate = some > 0 && some < tasks.length;
    const head = el(
      "label",
      { class: "choose-job" },
      box,
      job,
      el("span", { class: "note" }, tasks.length > 1 ? ` ${tasks.length}` : ""),
    );
    if (tasks.length === 1)
      return el("div", { class: "choose-one" }, head, downloads(tasks[0].task));
    const more = el("details", {}, el("summary", { "aria-label": `Tasks of ${job}` }));
    more.open = open.has(job) || (some > 0 && some < tasks.length);
    const body = el("div", { class: "choose-tasks" });
    more.append(body);
    const show = () => {
      if (more.open) open.add(job);
      else open.delete(job);
      fill(body, more.open ? tasks.map((task) => taskPart(task.task)) : []);
    };
    more.addEventListener("toggle", show);
    if (more.open) show();
    return el("div", {}, head, more);
  }

  function taskPart(task) {
    const box = el("input", {
      type: "checkbox",
      data: { task },
      on: { change: () => toggle([{ task }], box.checked) },
    });
    box.checked = chosen.has(task);
    return el(
      "div",
      { class: "choose-one" },
      el("label", {}, box, el("span", { class: "task", data: { colour: taskColour(task) } }, task)),
      downloads(task),
    );
  }

  function toggle(tasks, on) {
    for (const { task } of tasks) {
      if (on) chosen.add(task);
      else chosen.delete(task);
    }
    draw(true);
    changed();
  }

  return { element, wanted, choose, draw, chosen };
}

/** Links to a task's two logs, whole. */
function downloads(task) {
  const link = (stream, words) =>
    el(
      "a",
      {
        href: runPath(`/logs/${label(task)}/${stream}`),
        download: `${label(task)}.${stream}.log`,
        title: `Download ${task}’s ${stream}`,
        on: {
          click: (event) => {
            event.preventDefault();
            save(runPath(`/logs/${label(task)}/${stream}`), `${label(task)}.${stream}.log`);
          },
        },
      },
      words,
    );
  return el("span", { class: "downloads" }, link("stdout", "out"), link("stderr", "err"));
}
