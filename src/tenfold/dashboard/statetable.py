"""The page's copy of the table of states, `static/states.js`.

It is written from `tenfold.run.states`.

Write it again after a change there: `python -m tenfold.dashboard.statetable`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tenfold.run.states import UNSTARTED, State

PATH = Path(__file__).parent / "static" / "states.js"

_HEAD = """\
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
"""
_BETWEEN = """\
};

/** States that the map's legend explains, and its words for them. */
export const LEGEND = [
"""
_TAIL = """\
];

/** The properties of a state; those of `waiting` if the page does not know it. */
export function stateOf(name) {
  return Object.hasOwn(STATES, name ?? "") ? STATES[name] : STATES.waiting;
}
"""
_LEGEND = (
    (State.RUNNING, "running"),
    (State.STARTING, "starting"),
    (State.RESTARTING, "restarting"),
    (State.FAILED, "failed"),
    (State.STOPPED, "over or waiting"),
)


def table() -> dict[str, dict[str, Any]]:
    """The properties of each state, as the page has them."""
    return {
        state.value: {
            "terminal": state.is_terminal,
            "live": state.is_live,
            "usable": state is State.RUNNING,
            "bad": state.is_bad,
            "unseen": state is State.LOST,
            "mark": _mark(state),
            "colour": f"state-{state}",
        }
        for state in State
    }


def script() -> str:
    """The text of `static/states.js`."""
    rows = [f"  {name}: {_object(row)},\n" for name, row in table().items()]
    legend = [f"  {json.dumps([state.value, words])},\n" for state, words in _LEGEND]
    return "".join([_HEAD, *rows, _BETWEEN, *legend, _TAIL])


def _object(row: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{key}: {json.dumps(value)}" for key, value in row.items()) + " }"


def _mark(state: State) -> str:
    """Not by colour alone: what moves on is dashed, what nothing runs of is a ring."""
    if state in {State.STARTING, State.RESTARTING, State.STOPPING}:
        return "dashes"
    return "ring" if state in UNSTARTED | {State.LOST, State.STOPPED} else "disc"


if __name__ == "__main__":
    PATH.write_text(script())
