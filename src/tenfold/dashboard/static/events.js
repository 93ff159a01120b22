/**
 * The Events view: what failed first and what followed, then the run's story in order.
 */

import { el, fill, keyed, say } from "./dom.js";
import { clock, duration, plain, plural, taskColour } from "./format.js";
import { viewLink } from "./header.js";
import { stateOf } from "./states.js";
import { store } from "./store.js";

const MOST_SHOWN = 1000;

const AGAIN = { job: "all tasks of its job start again", cluster: "the training starts again" };
const WORDS = {
  "task-started": (event) =>
    `started${event.restarts ? `, for the ${event.restarts + 1}. time` : ""}${event.host ? ` on ${event.host}` : ""}${event.pid ? `, pid ${event.pid}` : ""}`,
  "task-ready": () => "ready",
  "task-exited": (event) =>
    `${event.reason ?? (event.signal ? `killed by ${event.signal}` : `ended with exit code ${event.exit_code ?? "unknown"}`)}${event.state ? `: ${event.state}` : ""}`,
  "task-left": (event) =>
    `its own process ${event.signal ? `was killed by ${event.signal}` : `ended with exit code ${event.exit_code ?? "unknown"}`}; what it started is still running, and is told to end`,
  "task-retried": (event) =>
    `${event.because ?? "ended"}; ${AGAIN[event.scope] ?? "it starts again"} in ${duration(event.in_s)}${event.limit ? ` (${event.attempt} of ${event.limit})` : ""}`,
  "restarted-with": (event) => `starts again together with ${event.because}`,
  "task-unkillable": () => "was killed and does not end: it is not waited for",
  hang: (event) => event.words + (event.report ? `; report: ${event.report}` : ""),
  "progress-resumed": () => "it goes on",
  resumed: (event) =>
    event.checkpoint
      ? `goes on from run ${event.run}, step ${event.step}`
      : `counts on the restarts of run ${event.run}`,
  "set-aside": (event) => `${event.file} is damaged, and was set aside as ${event.as}`,
  "disk-full": (event) => `the disk is full: ${event.path} cannot be written`,
  "task-waits": (event) => `is not ready: ${event.words}`,
  "not-finite": (event) =>
    event.until === null || event.until === undefined
      ? `${event.figure} is not finite (${event.value}) since step ${event.since}`
      : `${event.figure} is finite again since step ${event.until}; it was not (${event.value}) since step ${event.since}`,
  "disk-back": (event) => `the disk has room again: ${event.lost_bytes} bytes of ${event.path} were lost`,
  "task-unready": (event) => `could not be used after ${event.timeout_s} s`,
  "task-refused": (event) => `could not be started: ${event.reason}`,
  "task-signalled": (event) => `sent ${event.signal}`,
  "restart-asked": () => "restart asked for",
  note: (event) => event.message + (event.hint ? ` (${event.hint})` : ""),
  error: (event) => event.message + (event.hint ? ` (${event.hint})` : ""),
};
const BAD = new Set(["cluster-failed", "task-refused", "task-unready", "task-unkillable", "hang", "disk-full", "error"]);
const CARE = new Set([
  "not-finite",
  "task-waits",
  "task-retried",
  "restarted-with",
  "restart-asked",
  "set-aside",
  "disk-back",
  "task-signalled",
  "cluster-stopping",
  "cluster-stopped",
]);
const GOOD = new Set(["cluster-running", "cluster-succeeded", "task-ready"]);
const TOLD = new Set(["time", "kind", "task"]);

/** @returns {import("./app.js").View} */
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
      el("label", { class: "check" }, bad, "only trouble"),
      note,
    ),
    list,
  );
  let told = "";

  function show() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [];
    store.events.forEach((event, index) => {
      if (bad.checked && !["bad", "care"].includes(tone(event))) return;
      const text = `${event.task || ""} ${event.kind} ${sentence(event)}`.toLowerCase();
      if (words.every((word) => text.includes(word))) found.push({ event, index });
    });
    const part = found.slice(-MOST_SHOWN);
    const cut = found.length > part.length ? `, the last ${MOST_SHOWN} are shown` : "";
    say(
      note,
      found.length
        ? `${plural(found.length, "event")}${cut}`
        : "Nothing has happened that matches.",
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

function firstFailure(first) {
  const link = viewLink("logs", `?task=&at=${first.time - 2}`);
  return [
    el("h2", {}, "First failure"),
    el(
      "p",
      {},
      taskName(first.task),
      ` ${first.words} at ${clock(first.time, 0)}. `,
      el("a", { href: link }, "See the logs of that moment"),
    ),
    store.head?.headline && el("p", { class: "headline" }, plain(store.head.headline)),
    exceptionOf(first),
    first.lines?.length
      ? el(
          "pre",
          { tabindex: 0, "aria-label": "Its last lines" },
          first.lines.map(plain).join("\n"),
        )
      : el("p", { class: "note" }, "It wrote nothing."),
  ];
}

/** The exception and where it was raised, if it is not among the last lines. */
function exceptionOf(first) {
  const { line, message, frame } = first.exception || {};
  if (!line || !Array.isArray(message) || first.lines?.includes(message[0])) return null;
  const where = frame ? [`${frame.file}:${frame.line}`, `    ${frame.source || ""}`] : [];
  return el(
    "pre",
    { tabindex: 0, "aria-label": "Its exception" },
    [...where, ...message.slice(0, 12)].map((text) => plain(String(text))).join("\n"),
  );
}

function consequences(later) {
  const shown = later.slice(0, 12);
  const rest = later.length - shown.length;
  return el(
    "div",
    {},
    el("h3", {}, "After it, and so perhaps because of it"),
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
  const after = start && event.time >= start ? `+${duration(event.time - start)}` : "";
  return el(
    "li",
    { data: { kind: event.kind, tone: tone(event), task: event.task || "" } },
    el("time", { title: after }, clock(event.time)),
    el("span", { class: "kind" }, event.kind),
    el(
      "span",
      { class: "what" },
      event.task && taskName(event.task),
      event.task && " ",
      sentence(event),
    ),
  );
}

/** bad, care, good or plain. */
function tone(event) {
  if (BAD.has(event.kind)) return "bad";
  if (event.kind === "task-exited")
    return stateOf(event.state).bad || event.signal ? "bad" : "plain";
  return CARE.has(event.kind) ? "care" : GOOD.has(event.kind) ? "good" : "plain";
}

function sentence(event) {
  const words = WORDS[event.kind];
  if (words) return plain(String(words(event) ?? ""));
  if (event.reason) return plain(String(event.reason));
  const rest = Object.entries(event).filter(([name, value]) => !TOLD.has(name) && value !== null);
  return plain(
    rest
      .map(
        ([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`,
      )
      .join(", "),
  );
}
