"""`tenfold why`, typed."""

from __future__ import annotations

import json
import sys

from tests.cli.desk import Desk

FAILING = """
cluster: demo
jobs:
  chief: {run: [python, -c, "print('begun', flush=True); import nosuchmodule"]}
  worker: {tasks: 3, run: "sleep 600"}
"""
FIRST = (
    'demo failed: chief/0 exited with code 1: it says "ModuleNotFoundError: No module named'
    f" 'nosuchmodule'\"; install the package of nosuchmodule: {sys.executable} -m pip install "
    "nosuchmodule"
)


def test_why_explains_a_failed_run_a_running_run_and_no_run(desk: Desk) -> None:
    none = desk.tenfold("why")
    assert (none.code, none.out) == (2, "")
    assert "hint: start one with `tenfold up`" in none.err
    desk.write(FAILING, "failing.yaml")
    assert FIRST in desk.tenfold("up", "failing.yaml").err
    said = desk.tenfold("why")
    assert (said.code, said.err) == (0, "")
    first, run, _, *rest = said.out.splitlines()
    assert first == FIRST
    assert run.startswith("run ")
    assert rest[-2:] == [
        "next        tenfold logs demo chief/0",
        "            tenfold up failing.yaml",
    ]
    told = json.loads(desk.tenfold("why", "demo", "--json").out)
    assert (told["version"], told["headline"], told["wrong"]) == (1, FIRST, True)
    assert told["first_failure"]["error"]["line"].startswith("ModuleNotFoundError")
    desk.tenfold("up", "--wait")
    assert "no problem found" in desk.tenfold("why").out
    assert desk.tenfold("why", f"demo/{told['run']}").out.splitlines()[0] == FIRST
    desk.tenfold("down", "--kill")


def test_why_uses_colours_and_removes_escape_sequences(desk: Desk) -> None:
    desk.write(
        "cluster: demo\njobs: {chief: {run: [sh, -c, 'printf \"\\\\033]0;x\\\\a\"; exit 3']}}"
    )
    desk.tenfold("up")
    with desk.type("why") as typed:
        assert typed.end() == 0
    assert b"\x1b[1m" in typed.raw
    assert b"\x1b]0;" not in typed.raw
    assert "chief/0 exited with code 3" in typed.text
