"""The client side of a cell that only these tests have."""

from __future__ import annotations

import signal

from tenfold.cells import ClientSide
from tenfold.cells.probing.findings import Finding
from tenfold.launch.signals import signal_group
from tenfold.planning.plan import Plan
from tenfold.run.jsonfiles import read_json
from tenfold.run.rundir import RunDirectory


class OwnClient(ClientSide):
    """Plain processes."""

    def sweep(self, run: RunDirectory) -> list[str]:
        """Kill what a dead supervisor left, as the tasks' lives tell."""
        swept = []
        for directory in run.tasks():
            pid = (read_json(directory.path / "pid.json") or {}).get("pid")
            if isinstance(pid, int):
                signal_group(pid, signal.SIGKILL)
                swept.append(directory.label)
        return swept

    def probe(self, plan: Plan | None) -> list[Finding]:
        """Plain processes always work."""
        del plan
        return [Finding("cell", "own", "ok", None, "plain processes", None)]


CLIENT = OwnClient()
