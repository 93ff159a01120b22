/**
 * What a run is: its file, command, cell, hosts, interpreter, framework, times, directory, checkpoints.
 */

import { el, keyed, say, set } from "./dom.js";
import { bytes, date, duration } from "./format.js";
import { now, over, store } from "./store.js";

/** The panel; `tell` takes the answer of GET RUN/overview. */
export function facts() {
  const element = el("dl", { class: "run-facts" });
  let about = null;

  function rows() {
    const { head, health } = store;
    if (!head) return [];
    const started = head.started && `${date(head.started)}, ${ago(head)}`;
    const saved = health?.checkpoint;
    const found = [
      ["started", started],
      ["reason", head.reason],
      ["file", about?.file],
      ...commands(about),
      ["framework", head.framework],
      ["cell", head.cell],
      ["host", about?.hosts.length > 3 ? `${about.hosts.length} hosts` : about?.hosts.join(", ")],
      ["interpreter", about?.interpreter],
      ["network", head.protection_words],
      ["working directory", about?.directory],
      ["run directory", head.directory],
      ["checkpoint", saved ? `${saved}, ${duration(age(health))} ${over() ? "before the end" : "ago"}` : "none yet"],
      ["resumed from", health?.resumed_from],
      ["restarts", health?.restarts || null],
      ["disk", health?.disk_free && `${bytes(health.disk_free)} free`],
    ];
    return found.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== 0);
  }

  function update() {
    keyed(
      element,
      rows(),
      ([name]) => name,
      ([name]) => el("div", {}, el("dt", {}, name), el("dd")),
      (row, [, value]) => {
        say(row.lastChild, value);
        set(row.lastChild, "title", String(value));
      },
    );
  }

  return {
    element,
    update,
    tick: update,
    tell(said) {
      about = said;
      update();
    },
  };
}

function ago(head) {
  return head.ended
    ? `ran ${duration(head.ended - head.started)}`
    : `${duration(now() - head.started)} ago`;
}

function age(health) {
  const end = store.head.ended || now();
  return Math.max(0, end - health.checkpoint_time);
}

function commands(about) {
  if (!about) return [];
  const same = new Set(about.commands.map(({ command }) => command)).size === 1;
  if (same && about.commands.length) return [["command", about.commands[0].command]];
  return about.commands.map(({ job, command }) => [`command of ${job}`, command]);
}
