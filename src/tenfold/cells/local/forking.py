"""The preloaded process that a local task is forked from, and related notes.

The notes report why a preloaded process is not ready.

Owns waiting for a preloaded process, and the notes. Leaves to others: which one it is
(`launch.preloads`), and starting it (`launch.client`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tenfold.cluster.python_choice import is_own
from tenfold.cluster.python_probe import too_old, version_of
from tenfold.cluster.scripts.hiding import first_hidden
from tenfold.cluster.scripts.wording import hiding_words, obstacle_words
from tenfold.launch.channel import PreloadError
from tenfold.launch.client import LaunchClient
from tenfold.launch.preloads import Preload, Preloads
from tenfold.planning.plan import Bound, Plan, Task


class Forking:
    """The preloads of one run. `on_note` gets a message and a hint."""

    def __init__(self, plan: Plan, on_note: Callable[[str, str | None], None]) -> None:
        self._preloads = Preloads(plan)
        self._on_note = on_note
        self._unloaded: set[Preload] = set()
        self._slow: set[tuple[str, str]] = set()

    async def preload(self, task: Task, bound: Bound, client: LaunchClient) -> Preload | None:
        """The process to fork the task from, once it is ready, or None.

        None means that the task is started as any program.
        """
        if not self._preloads.wants(task, bound):
            return None
        choice = await asyncio.to_thread(self._preloads.of, task, bound)
        preload = choice.preload
        if choice.obstacle is not None:
            self._note(task, *obstacle_words(choice.obstacle))
        if preload is None or preload in self._unloaded:
            return None
        try:
            await asyncio.to_thread(_require_version, preload)
            imported = await client.preload(preload, room_for=bound.env)
        except PreloadError as error:
            if preload not in self._unloaded:
                self._unloaded.add(preload)
                self._note(
                    task,
                    f"{' '.join(preload.modules)} could not be preloaded: {error.message}",
                    "see supervisor.log for details; "
                    "set `preload: none` for jobs that do not need it",
                )
            return None
        if (hidden := first_hidden(choice.directories, imported)) is not None:
            self._note(task, *hiding_words(*hidden))
            return None
        return preload

    def _note(self, task: Task, why: str, hint: str) -> None:
        """Report once per job why it has no preload."""
        if (task.job, why) not in self._slow:
            self._slow.add((task.job, why))
            self._on_note(f"{task.job} starts without a preload, each task separately: {why}", hint)


def _require_version(preload: Preload) -> None:
    """Raise PreloadError if the interpreter is too old for the code that forks."""
    if not is_own(preload.interpreter):
        version, path, _ = version_of(preload.interpreter, preload.directory)
        if problem := too_old(path or preload.interpreter, version):
            raise PreloadError(problem)
