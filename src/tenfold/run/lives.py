"""`life.json` of a task: what its runner last reported."""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.run.jsonfiles import JsonFile


@dataclass(frozen=True, slots=True)
class TaskLife(JsonFile):
    """One life of a task, so far. Times are seconds since 1970.

    `number` counts the task's lives from 1. `ips` are the addresses of the host, by which peers
    know whose a connection is. `refused` says why the command could not be started. `memory_kills`
    is how many processes the kernel killed because the task's place was over its memory limit.
    """

    number: int = 0
    host: str = ""
    ips: tuple[str, ...] = ()
    pid: int | None = None
    started: float | None = None
    ready: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    refused: str | None = None
    memory_kills: int = 0

    @property
    def shell_code(self) -> int:
        """The exit code as in a shell.

        128 + n for signal n, and 127 for a command that cannot start.
        """
        if self.refused is not None:
            return 127
        return 128 + self.signal if self.signal is not None else self.exit_code or 0
