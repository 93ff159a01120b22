"""A plan as a table."""

from __future__ import annotations

import io

from rich.console import Console

from tenfold.cluster.file import loads
from tenfold.planning.planner import plan
from tenfold.views.plan import show_plan


def shown(text: str) -> str:
    out = io.StringIO()
    show_plan(Console(file=out, width=100), plan(loads(text)))
    return out.getvalue()


def test_tasks_that_do_the_same_are_one_row() -> None:
    text = "cluster: x\njobs: {a: {run: y, tasks: 9, overrides: {4: {run: z}}}}"
    rows = [line.split()[:2] for line in shown(text).splitlines() if line.startswith("a/")]
    assert rows == [["a/0–3", "y"], ["a/4", "z"], ["a/5–8", "y"]]


def test_the_plan_shows_special_settings_of_a_task() -> None:
    text = """
cluster: x
jobs: {a: {run: y, ports: {web: auto}, resources: {gpu: 2}, env: {A_KEY: hush, B: "[red]"}}}
"""
    told = shown(text)
    for line in ("A_KEY=***", "B=[red]", "ports: web auto", "gpu: 2"):
        assert line in told


def test_a_plan_is_shown_without_control_characters() -> None:
    assert "\x1b" not in shown('cluster: x\njobs: {a: {run: ["y\\e[2J"]}}')
