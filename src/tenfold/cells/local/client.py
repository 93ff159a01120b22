"""The client side of the local cell: what a run needs and what it leaves behind."""

from __future__ import annotations

import threading

from tenfold.cells.client_side import ClientSide
from tenfold.cells.local.doctor import local
from tenfold.cells.local.protection import require_protection
from tenfold.cells.local.requirements import require_files, require_packages, require_ports
from tenfold.cells.probing.findings import Finding
from tenfold.cells.supervisor_side import Wishes
from tenfold.launch import isolation
from tenfold.launch.survivors import end_survivors
from tenfold.planning.plan import Plan
from tenfold.run.rundir import RunDirectory
from tenfold.tasks.memory import sweep


class LocalClient(ClientSide):
    """Processes of this machine."""

    def require(self, plan: Plan) -> None:
        """Require packages, free ports and enough open files."""
        require_packages(plan)
        require_files(plan)
        require_ports(plan)

    def submit(self, plan: Plan, run: RunDirectory, wishes: Wishes) -> bool:
        """Return False: the supervisor is never elsewhere.

        Tasks that would be open to the network are refused before there is a run.

        With threads about that is left to the run's own `open`: trying it forks.
        """
        del run
        if threading.active_count() == 1:
            require_protection(plan, wishes.isolation, isolation.find(wishes.isolation))
        return False

    def sweep(self, run: RunDirectory) -> list[str]:
        """End the remaining processes of `run`, whose supervisor was killed.

        Control groups that any run has left are removed.
        """
        killed = end_survivors(run)
        groups = sweep()
        found = [f"{len(killed)} processes"] if killed else []
        return [*found, f"{groups} control groups"] if groups else found

    def probe(self, plan: Plan | None) -> list[Finding]:
        """Probe whether a run gets a namespace.

        It forks, so call it before a thread is started.
        """
        del plan
        return [local()]


CLIENT = LocalClient()
