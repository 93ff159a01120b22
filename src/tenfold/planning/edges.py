"""Which tasks communicate according to the plan.

The map compares the measured traffic with it.

Pure. A framework knows what its jobs do; a task that is handed another job's addresses, in its
command or environment, is taken to talk to them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tenfold.base.naming import ranges
from tenfold.frameworks import Talk, framework
from tenfold.planning.plan import Plan, Task

Edge = tuple[str, str]
"""Two tasks, in the order in which the plan has them."""

_ADDRESSES = re.compile(r"\$\{ *jobs\.([^.}]+)\.(?:addresses|hosts|ports)(?:\.([0-9]+))? *\}")


@dataclass(frozen=True, slots=True)
class Planned:
    """The edges that a plan implies.

    Attributes:
        sure: edges on which silence is worth knowing.
        perhaps: pairs of sets; a task of the first may talk to one of the second.
    """

    sure: frozenset[Edge] = frozenset()
    perhaps: tuple[tuple[frozenset[str], frozenset[str]], ...] = ()

    def __contains__(self, edge: Edge) -> bool:
        """Whether these two may communicate."""
        one, other = edge
        return edge in self.sure or any(
            (one in ones and other in others) or (other in ones and one in others)
            for ones, others in self.perhaps
        )


def planned(plan: Plan) -> Planned:
    """Which tasks communicate in `plan`, and which may communicate."""
    jobs = {job: len(tasks) for job, tasks in plan.jobs().items()}
    order = {task.name: place for place, task in enumerate(plan.tasks)}
    sure: set[Edge] = set()
    perhaps = []
    for talk in (*framework(plan.framework).talks(jobs), *_asked_for(plan)):
        if talk.sure:
            sure.update(_edges(talk, jobs, order))
        else:
            perhaps.append(
                (frozenset(_tasks(talk.ones, jobs)), frozenset(_tasks(talk.others, jobs)))
            )
    return Planned(frozenset(sure), tuple(perhaps))


@dataclass(frozen=True, slots=True)
class CutOff:
    """Tasks that are cut off from the `others`.

    What is sent between them is not acknowledged.
    """

    tasks: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def words(self) -> str:
        """The problem as a sentence."""
        are, they = ("is", "it") if len(self.tasks) == 1 else ("are", "they")
        return (
            f"{ranges(self.tasks)} {are} cut off: what {they} and {ranges(self.others)} "
            "send each other is not acknowledged"
        )

    def of(self, task: str) -> str:
        """The problem of one of the tasks, without its name."""
        rest = ranges([other for other in self.tasks if other != task])
        too = f" (and {rest})" if rest else ""
        return (
            f"is cut off{too}: what is sent between it and {ranges(self.others)} "
            "is not acknowledged"
        )


def cut_off(edges: Mapping[Edge, bool]) -> CutOff | None:
    """The tasks that are cut off, or None.

    Edges that are cut are True, and those that surely are not are False.

    As few tasks as explain all that are cut, rather those of whom no edge is well.
    """
    left = [edge for edge, is_cut in edges.items() if is_cut]
    if not left:
        return None
    well = {end for edge, is_cut in edges.items() if not is_cut for end in edge}
    ends = list(dict.fromkeys(end for edge in left for end in edge))
    off: list[str] = []
    while left:
        count = Counter(end for edge in left for end in edge)
        off.append(min(count, key=lambda end: (end in well, -count[end], ends.index(end))))
        left = [edge for edge in left if off[-1] not in edge]
    return CutOff(tuple(sorted(off)), tuple(sorted(set(ends).difference(off))))


def _edges(talk: Talk, jobs: Mapping[str, int], order: Mapping[str, int]) -> Iterator[Edge]:
    others = [task for task in _tasks(talk.others, jobs) if task in order]
    for one in _tasks(talk.ones, jobs):
        for other in others:
            if one in order and one != other:
                yield (one, other) if order[one] < order[other] else (other, one)


def _tasks(names: Iterable[str], jobs: Mapping[str, int]) -> Iterator[str]:
    for name in names:
        if "/" in name:
            yield name
        else:
            yield from (f"{name}/{index}" for index in range(jobs.get(name, 0)))


def _asked_for(plan: Plan) -> Iterator[Talk]:
    """Each task with the jobs and tasks whose addresses it receives."""
    for task in plan.tasks:
        for asked in sorted(_addressed(task)):
            yield Talk((task.name,), (asked,))


def _addressed(task: Task) -> set[str]:
    texts = (*task.command, *task.env.values())
    found = {pair for text in texts if "${" in text for pair in _ADDRESSES.findall(text)}
    return {f"{job}/{index}" if index else job for job, index in found}
