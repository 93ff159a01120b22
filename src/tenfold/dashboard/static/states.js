// Written by `python -m tenfold.dashboard.statetable` from src/tenfold/run/states.py: do not edit.

/**
 * `terminal`: this is an end. `live`: a process exists. `usable`: the task can be used. `bad`: this
 * is an end that nobody wanted. `unseen`: nobody saw the end. `mark`: how the task is drawn, as a
 * disc, a ring or a dashed ring. `colour`: a variable of the style sheet, without its `--`.
 * @typedef {{terminal: boolean, live: boolean, usable: boolean, bad: boolean, unseen: boolean,
 *   mark: "disc"|"ring"|"dashes", colour: string}} State
 */

/** @type {Record<string, State>} */
export const STATES = {
  waiting: { terminal: false, live: false, usable: false, bad: false, unseen: false, mark: "ring", colour: "state-waiting" },
  starting: { terminal: false, live: true, usable: false, bad: false, unseen: false, mark: "dashes", colour: "state-starting" },
  running: { terminal: false, live: true, usable: true, bad: false, unseen: false, mark: "disc", colour: "state-running" },
  restarting: { terminal: false, live: false, usable: false, bad: false, unseen: false, mark: "dashes", colour: "state-restarting" },
  stopping: { terminal: false, live: true, usable: false, bad: false, unseen: false, mark: "dashes", colour: "state-stopping" },
  succeeded: { terminal: true, live: false, usable: false, bad: false, unseen: false, mark: "disc", colour: "state-succeeded" },
  failed: { terminal: true, live: false, usable: false, bad: true, unseen: false, mark: "disc", colour: "state-failed" },
  lost: { terminal: true, live: false, usable: false, bad: true, unseen: true, mark: "ring", colour: "state-lost" },
  stopped: { terminal: true, live: false, usable: false, bad: false, unseen: false, mark: "ring", colour: "state-stopped" },
};

/** States that the map's legend explains, and its words for them. */
export const LEGEND = [
  ["running", "running"],
  ["starting", "starting"],
  ["restarting", "restarting"],
  ["failed", "failed"],
  ["stopped", "over or waiting"],
];

/** The properties of a state; those of `waiting` if the page does not know it. */
export function stateOf(name) {
  return Object.hasOwn(STATES, name ?? "") ? STATES[name] : STATES.waiting;
}
