"""Ask a cell about runs whose supervisor is elsewhere, as on Slurm.

This happens now and then.

The cell then brings the run directory up to date, which is what everything else here reads.
"""

from __future__ import annotations

import contextlib
import time

from tenfold import cells
from tenfold.errors import TenfoldError
from tenfold.run.elsewhere import Elsewhere
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import TERMINAL
from tenfold.run.statusfiles import RunStatus

ASK_S = 10.0
"""Seconds after an answer in which the cell is not asked again."""


class Settler:
    """Asks cells about runs, each at most every `ask_s` seconds.

    It does not matter how many callers want to know.
    """

    def __init__(self, ask_s: float = ASK_S) -> None:
        self._ask_s = ask_s
        self._asked: dict[RunDirectory, float] = {}

    def settle(self, run: RunDirectory) -> None:
        """Update the run directory with the outcome of the run.

        A cell that does not answer changes nothing.

        Nothing is asked about a run that is supervised from here, or is over.
        """
        moment = time.monotonic()
        if moment < self._asked.get(run, moment) or not run.is_elsewhere():
            return
        self._asked[run] = moment + self._ask_s
        status = RunStatus.read(run.status)
        if status is not None and status.state in TERMINAL:
            return
        place = Elsewhere.read(run.elsewhere) or Elsewhere()
        with contextlib.suppress(TenfoldError, OSError):
            cells.client(place.cell).settle(run)
