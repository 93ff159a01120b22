"""Curves of what tasks report with `tenfold.progress`, from `progress.jsonl`.

Owns reading each file forward, and which tasks are shown. Thinning is `curve`'s.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tenfold.base.naming import label_of
from tenfold.run.files import open_regular
from tenfold.run.rundir import RunDirectory
from tenfold.tasks.progresslog import MOST_BYTES, ProgressSample
from tenfold.traffic.samples import sample_of
from tenfold.views.curve import Curve, shown_points

MOST_TASKS = 8
"""The maximum number of tasks whose figures are shown as curves."""

_MOST_TAGS = 40
_READ_BYTES = 4 * MOST_BYTES


class FigureReader:
    """Reads the curves of one run's tasks. Each `read` reads only new lines."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._files: dict[str, _ProgressFile] = {}

    def read(self, tasks: Sequence[str]) -> list[dict[str, Any]]:
        """`[{task, tags: [{tag, steps, values, times}]}]`, of at most `MOST_TASKS` tasks.

        `tasks` are those that reported progress, the most important first. A step is what a task
        reported as done. A value that is not finite is None.
        """
        found = []
        for task in tasks[:MOST_TASKS]:
            if task not in self._files:
                path = self._run.task(label_of(task)).progress_log
                self._files[task] = _ProgressFile(path)
            if tags := self._files[task].read():
                found.append({"task": task, "tags": tags})
        return found


class _ProgressFile:
    """One `progress.jsonl`, read forward. A file that was replaced is read anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode, self._position = 0, 0
        self._curves: dict[str, Curve] = {}

    def read(self) -> list[dict[str, Any]]:
        try:
            with open_regular(self._path) as stream:
                found = os.fstat(stream.fileno())
                if found.st_ino != self._inode or found.st_size < self._position:
                    self._inode, self._position, self._curves = found.st_ino, 0, {}
                stream.seek(self._position)
                data = stream.read(_READ_BYTES)
        except OSError:
            data = b""
        whole = data[: data.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.splitlines():
            if (sample := sample_of(ProgressSample, line)) is not None:
                self._take(sample)
        return [shown_points(tag, curve.points()) for tag, curve in self._curves.items()]

    def _take(self, sample: ProgressSample) -> None:
        if sample.done is None:
            return
        for tag, value in sample.figures.items():
            if tag not in self._curves and len(self._curves) >= _MOST_TAGS:
                continue
            number = math.nan if value is None else value
            self._curves.setdefault(tag, Curve()).add((int(sample.done), number, sample.time))
