"""How a local run is isolated, as far as this machine allows it.

From best to worst: a network of its own (`namespace`); binds to every interface turned to
loopback by a seccomp filter (`binds`); nothing. Each is tried, in a process that ends at once.
Owns the choice and its words. Leaves to others: which tasks need it, and what to do where there is
nothing (`cells.local`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tenfold.launch import binds, namespace

Level = Literal["namespace", "seccomp", "none"]


_REFUSALS: dict[Level, Callable[[], str | None]] = {
    "namespace": lambda: namespace.refusal(),
    "seccomp": lambda: binds.refusal(),
}
"""From best to worst: why this machine does not allow it, or None."""

_WAYS: dict[str, tuple[Level, ...]] = {
    "auto": ("namespace", "seccomp"),
    "namespace": ("namespace",),
    "loopback": ("seccomp",),
    "none": (),
}
"""The levels to try for each request, in this order."""

_NAMES: dict[Level, str] = {"namespace": "no namespace", "seccomp": "no seccomp"}

_WORDS: dict[Level, str] = {
    "namespace": "the run has a separate network and process namespace; "
    "nobody outside can reach it",
    "seccomp": "binds of tasks to every interface are redirected to 127.0.0.1 by a seccomp filter: "
    "other machines reach no port, but other users and programs of this machine do",
    "none": "everyone who can reach this machine can reach the ports of the tasks, and so can "
    "programs of other users on it",
}


@dataclass(frozen=True, slots=True)
class Isolation:
    """What isolation a run gets, and which better one it does not get and why.

    Attributes:
        level: the best that was tried and is allowed.
        refused: what is better and was tried, and why it is refused; in the order of the tries.
    """

    level: Level
    refused: tuple[tuple[Level, str], ...] = ()

    @property
    def words(self) -> str:
        """The meaning for other users near the machine, as part of a sentence."""
        return _WORDS[self.level]

    @property
    def why(self) -> str:
        """What is refused: `no namespace: …; no seccomp: …`. Empty if nothing is."""
        return "; ".join(f"{_NAMES[level]}: {words}" for level, words in self.refused)

    @property
    def kind(self) -> str:
        """The level as in `status.json`: `namespace`, `loopback` or `none`."""
        return "loopback" if self.level in _WAYS["loopback"] else self.level


def find(wanted: str) -> Isolation:
    """The best isolation that is `wanted` and allowed.

    `wanted` is one of `auto`, `namespace`, `loopback` and `none`.

    It forks: call it before any thread is started.
    """
    refused: list[tuple[Level, str]] = []
    for level in _WAYS[wanted]:
        refusal = _REFUSALS[level]()
        if refusal is None:
            return Isolation(level, tuple(refused))
        refused.append((level, refusal))
    return Isolation("none", tuple(refused))
