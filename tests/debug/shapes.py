"""Stacks made up for tables."""

from __future__ import annotations

from typing import Any

from tenfold.debug.stacks import ProcessStacks, StackFrame, TaskStacks, Thread


def thread(*calls: str) -> Thread:
    """`thread("hold:5", "main:9")`: functions of train.py and lines, the newest first."""
    return Thread(tuple(_frame(call) for call in calls))


def _frame(call: str) -> StackFrame:
    function, _, line = call.partition(":")
    return StackFrame(function, "/w/train.py", int(line) if line else None)


def task(
    name: str, *stacks: Thread, state: str = "S", phase: str = "running", **more: Any
) -> TaskStacks:
    """A task with one Python process."""
    process = ProcessStacks(7, state, "python", source="faulthandler", stacks=stacks, **more)
    return TaskStacks(name, phase, (process,))
