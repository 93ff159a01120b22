"""Runs whose supervisor is elsewhere, as on Slurm: now and then their cell is asked how they are.

The cell then brings the run directory up to date, which is what everything else here reads.
"""

from __future__ import annotations

import contextlib
import time

from tenfold import cells
from tenfold.errors import TenfoldError
from tenfold.run.rundir import RunDirectory, read_json
from tenfold.run.states import TERMINAL

ASK_S = 10.0
"""How long after an answer the cell is not asked again."""


class Settler:
    """Asks cells about runs, each at most every `ask_s` seconds, whoever wants to know."""

    def __init__(self, ask_s: float = ASK_S) -> None:
        self._ask_s = ask_s
        self._asked: dict[RunDirectory, float] = {}

    def settle(self, run: RunDirectory) -> None:
        """Have the run directory say what became of the run. A cell that is silent is left alone.

        Nothing is asked about a run that is supervised from here, or is over.
        """
        moment = time.monotonic()
        if moment < self._asked.get(run, moment) or not run.is_elsewhere():
            return
        self._asked[run] = moment + self._ask_s
        if (read_json(run.status) or {}).get("state") in TERMINAL:
            return
        cell = (read_json(run.elsewhere) or {}).get("cell")
        with contextlib.suppress(TenfoldError, OSError):
            cells.client(str(cell)).settle(run)
