"""Findings: what was examined, its state, a sentence, and a command to fix it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tenfold.base.secrets import veiled_all

State = Literal["ok", "warning", "missing", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one item that was examined.

    Attributes:
        area: `machine`, `cell`, `framework`, `gpu` or `file`.
        name: what it is: `docker`, `tensorflow`, `memory`; unique within its area.
        state: `ok`; `warning`: works, but will hurt; `missing`: not here; `broken`: here, but
            it does not work.
        version: of what was found, where it has one.
        message: one sentence in the user's words.
        hint: the command that mends it, or what to do; None where there is nothing to do.
    """

    area: str
    name: str
    state: State
    version: str | None
    message: str
    hint: str | None

    def __post_init__(self) -> None:
        """Hide secrets: what is found of a file may hold them."""
        for name in ("name", "message", "hint"):
            object.__setattr__(self, name, veiled_all(getattr(self, name)))

    @property
    def usable(self) -> bool:
        """Whether the item can be used as it is."""
        return self.state in ("ok", "warning")

    def to_json(self) -> dict[str, Any]:
        """The shape of `doctor --json`."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Room:
    """The capacity that a plan has to fit in.

    `where` is a phrase such as `this machine`. None means that the capacity is not known.

    `memory` is in bytes: with `free`, what nobody uses now, else what there is at all.
    """

    where: str
    cores: float | None = None
    memory: int | None = None
    free: bool = False
    gpus: int | None = None
