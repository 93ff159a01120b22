"""Stacks as lines of text, each with a style.

A terminal paints the style, and a file leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tenfold.base.naming import ranges
from tenfold.base.quantities import duration_text
from tenfold.debug.findings import Findings
from tenfold.debug.groups import StackGroup
from tenfold.debug.stacks import ProcessStacks, StackFrame, TaskStacks, Thread

Line = tuple[str, str]
"""A text, and its style: `bold red`, `dim` or none."""

_STATES = {
    "R": "runs",
    "S": "sleeps",
    "D": "waits in the kernel (D)",
    "T": "stopped (T)",
    "t": "held by a debugger (t)",
    "I": "idle",
}
_MOST_THREADS = 8
_MOST_SILENT = 20


def said(found: Findings) -> Iterator[Line]:
    """The suspects, then the groups, then the edges without traffic."""
    for place, suspect in enumerate(found.suspects):
        word = "stands out" if place == 0 else "also"
        yield f"{word}: {suspect.task} {suspect.because}", "bold red" if place == 0 else "yellow"
    for group in found.groups:
        yield "", ""
        yield from group_words(group)
    if found.silent:
        yield "", ""
        yield "planned but silent:", "bold"
        for edge in found.silent[:_MOST_SILENT]:
            since = "never a byte" if edge.seconds is None else f"for {duration_text(edge.seconds)}"
            cut = ", and sent data is not acknowledged" if edge.cut else ""
            yield f"    {edge.one} - {edge.other}  {since}{cut}", ""
        if (more := len(found.silent) - _MOST_SILENT) > 0:
            yield f"    and {more} more", "dim"


def group_words(group: StackGroup) -> Iterator[Line]:
    """One group: a line that names its tasks, and the stack below it."""
    one = group.example
    told = one.told
    head = f"×{len(group.tasks)}  {ranges(group.tasks)}"
    yield f"{head}  {_how(one, told)}", "bold red" if one.stopped else "bold"
    if one.trouble:
        yield f"    {one.trouble}", "yellow"
    if told is None:
        yield from _troubles(one.processes)
        return
    if told.trouble:
        yield from _troubles([told])
    if one.processes[0] is not told:
        yield f"    {told.command}, process {told.pid} of {one.processes[0].command}:", "dim"
    yield from _stack(told.stacks[0], group.lines)
    yield from _others(told.stacks[1:])


def _how(one: TaskStacks, told: ProcessStacks | None) -> str:
    """`running, sleeps in do_poll`."""
    worst = one.stopped[0] if one.stopped else told or next(iter(one.processes), None)
    if worst is None:
        return one.phase
    where = f" in {worst.wchan}" if worst.wchan and worst.state in "SD" else ""
    source = f", by {worst.source}" if worst.source else ""
    return f"{one.phase}, {_STATES.get(worst.state, worst.state)}{where}{source}"


def _troubles(processes: Sequence[ProcessStacks]) -> Iterator[Line]:
    for process in processes:
        yield f"    {process.command} {process.trouble or ''}".rstrip(), "yellow"
        if process.hint:
            yield f"    hint: {process.hint}", "dim"


def _stack(thread: Thread, lines: Sequence[tuple[int, ...]] = ()) -> Iterator[Line]:
    if not thread.frames:
        yield "    (no Python code)", "dim"
    for place, frame in enumerate(thread.frames):
        at = lines[place] if place < len(lines) else ()
        yield f"    {_frame(frame, at)}", "dim" if frame.package_file else ""


def _others(threads: Sequence[Thread]) -> Iterator[Line]:
    """The other threads, with equal ones folded."""
    counts: dict[tuple[StackFrame, ...], list[Thread]] = {}
    for thread in threads:
        counts.setdefault(thread.frames, []).append(thread)
    for same in list(counts.values())[:_MOST_THREADS]:
        called = same[0].name or ("thread" if len(same) == 1 else "threads")
        yield f"    + {len(same)} {called}:", "dim"
        yield from ((f"  {text}", style) for text, style in _stack(same[0]))
    if (more := len(counts) - _MOST_THREADS) > 0:
        yield f"    + {more} more kinds of threads; --json shows all", "dim"


def _frame(frame: StackFrame, at: Sequence[int]) -> str:
    lines = ",".join(map(str, at)) or ("" if frame.line is None else str(frame.line))
    file = frame.package_file or frame.file.removeprefix(f"{Path.cwd()}/")
    return f"{frame.function}  {file}{':' if lines else ''}{lines}"
