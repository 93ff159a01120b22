/**
 * The Events view: what failed first and what followed, then the run's story in order.
 */

import { el, fill, keyed, say } from "./dom.js";
import { clock, duration, plain, plural, taskColour } from "./format.js";
import { viewLink } from "./header.js";
import { store } from "./store.js";

const MOST_SHOWN = 1000;

/** @returns {import("./views.js").View} */
export function events() {
  const failure = el("section", { class: "failure", hidden: true, "aria-label": "First failure" });
  const filter = el("input", {
    type: "search",
    placeholder: "Filter: worker/3, exited …",
    "aria-label": "Filter events",
    on: { input: show },
  });
  const bad = el("input", { type: "checkbox", on: { change: show } });
  const note = el("p", { class: "note", role: "status" });
  const list = el("ol", { class: "story" });
  const element = el(
    "section",
    { class: "page", "aria-label": "Events" },
    failure,
    el(
      "div",
      { class: "tools-row" },
      filter,
      el("label", { class: "check" }, bad, "Problems only"),
      note,
    ),
    list,
  );
  let told = "";

  function show() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [];
    store.events.forEach((event, index) => {
      if (bad.checked && !["bad", "care"].includes(event.tone)) return;
      const text = `${event.task || ""} ${event.kind} ${event.text}`.toLowerCase();
      if (words.every((word) => text.includes(word))) found.push({ event, index });
    });
    const part = found.slice(-MOST_SHOWN);
    const cut = found.length > part.length ? `, the last ${MOST_SHOWN} are shown` : "";
    say(
      note,
      found.length
        ? `${plural(found.length, "event")}${cut}`
        : "No events match.",
    );
    keyed(
      list,
      part,
      ({ event }) => keyOf(event),
      makeEvent,
      () => {},
    );
  }

  function account() {
    const first = store.head?.first_failure || null;
    const later = store.head?.consequences || [];
    const state = JSON.stringify([first, later, store.head?.headline]);
    if (state === told) return;
    told = state;
    failure.hidden = !first;
    if (first) fill(failure, firstFailure(first), later.length ? consequences(later) : null);
  }

  function update(topics) {
    if (topics.has("head")) account();
    if (topics.has("events")) show();
  }

  return { element, show() {}, hide() {}, update, search: () => filter };
}

const keys = new WeakMap();
let lastKey = 0;

function keyOf(event) {
  if (!keys.has(event)) keys.set(event, (lastKey += 1));
  return keys.get(event);
}

/** What a task failed of: how it ended, its exception, its last lines. */
export function firstFailure(first) {
  const link = viewLink("logs", `?task=&at=${first.time - 2}`);
  return [
    el("h2", {}, "First failure"),
    el(
      "p",
      {},
      taskName(first.task),
      ` ${first.words} at ${clock(first.time, 0)}. `,
      el("a", { href: link }, "Show the logs at that time"),
    ),
    store.head?.headline && el("p", { class: "headline" }, plain(store.head.headline)),
    exceptionOf(first),
    first.lines?.length
      ? el(
          "pre",
          { tabindex: 0, "aria-label": "Last lines" },
          first.lines.map(plain).join("\n"),
        )
      : el("p", { class: "note" }, "The task wrote no output."),
  ];
}

/** The exception and where it was raised, if it is not among the last lines. */
function exceptionOf(first) {
  const { line, message, frame } = first.exception || {};
  if (!line || !Array.isArray(message) || first.lines?.includes(message[0])) return null;
  const where = frame ? [`${frame.file}:${frame.line}`, `    ${frame.source || ""}`] : [];
  return el(
    "pre",
    { tabindex: 0, "aria-label": "Exception" },
    [...where, ...message.slice(0, 12)].map((text) => plain(String(text))).join("\n"),
  );
}

function consequences(later) {
  const shown = later.slice(0, 12);
  const rest = later.length - shown.length;
  return el(
    "div",
    {},
    el("h3", {}, "Later failures, possibly caused by it"),
    el(
      "ul",
      {},
      shown.map((death) =>
        el("li", {}, taskName(death.task), ` ${death.words}, ${clock(death.time, 0)}`),
      ),
      rest > 0 && el("li", {}, `and ${rest} more`),
    ),
  );
}

function taskName(task) {
  return el("span", { class: "task", data: { colour: taskColour(task) } }, task);
}

function makeEvent({ event }) {
  const start = store.head?.started;
  const begins = event.task && event.text.startsWith(`${event.task} `);
  const after = start && event.time >= start ? `+${duration(event.time - start)}` : "";
  return el(
    "li",
    { data: { kind: event.kind, tone: event.tone, task: event.task || "" } },
    el("time", { title: after }, clock(event.time)),
    el("span", { class: "kind" }, event.kind),
    el(
      "span",
      { class: "what" },
      begins && taskName(event.task),
      begins ? event.text.slice(event.task.length) : event.text,
    ),
  );
}
