"""Identical stacks put together, so that a thousand tasks are read as three.

Two tasks are in one group when their main threads are in the same functions of the same files, and
so are their other threads, however many there are of each kind: a pool of three idle threads and
one of four are the same. Lines may differ within a group, and are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tenfold.debug.stacks import ProcessStacks, StackFrame, TaskStacks, Thread

Path = tuple[tuple[str, str], ...]
"""Functions and files of a stack, without lines."""


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What the tasks of a group have in common. Two equal keys are one group.

    Attributes:
        main: the main thread's stack; empty if none was told.
        others: those of the other threads, each once.
        how: what else tells tasks apart: stopped, not up, why there is no stack.
    """

    main: Path
    others: frozenset[Path]
    how: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StackGroup:
    """Tasks with the same key. The first of them is the example.

    `lines`: for each frame of the main thread, the lines the tasks are at, each once.
    """

    tasks: tuple[str, ...]
    example: TaskStacks
    lines: tuple[tuple[int, ...], ...]


def grouped(found: Iterable[TaskStacks]) -> list[StackGroup]:
    """The groups, the largest first.

    Among groups of the same size, the one whose tasks came first is first.
    """
    kinds: dict[GroupKey, list[TaskStacks]] = {}
    for one in found:
        kinds.setdefault(kind_of(one), []).append(one)
    made = [
        StackGroup(tuple(one.task for one in ones), ones[0], _lines(ones))
        for ones in kinds.values()
    ]
    return sorted(made, key=lambda group: -len(group.tasks))


def kind_of(found: TaskStacks) -> GroupKey:
    """What decides which group a task is in."""
    told = found.told
    how = ["stopped"] if found.stopped else []
    if told is None:
        how += [found.phase, *_troubles(found)]
        return GroupKey((), frozenset(), tuple(how))
    main, *others = told.stacks
    return GroupKey(path_of(main), frozenset(map(path_of, others)), tuple(how))


def _troubles(found: TaskStacks) -> Iterable[str]:
    if found.trouble:
        yield found.trouble
    for process in found.processes:
        yield f"{process.command} {process.trouble or ''}"


def path_of(thread: Thread) -> Path:
    """Functions and files of a thread's frames."""
    return tuple((frame.function, frame.file) for frame in thread.frames)


def _lines(ones: Sequence[TaskStacks]) -> tuple[tuple[int, ...], ...]:
    stacks = [_main_frames(one.told) for one in ones]
    return tuple(
        tuple(sorted({frame.line for frame in frames if frame.line is not None}))
        for frames in zip(*stacks, strict=True)
    )


def _main_frames(told: ProcessStacks | None) -> tuple[StackFrame, ...]:
    return told.stacks[0].frames if told else ()
