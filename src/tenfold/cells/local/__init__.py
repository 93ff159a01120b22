"""The local cell: every task is a process of this machine.

client.py         what `tenfold` calls before, during and after a run
supervisor.py     starts, signals and watches tasks through the launch server
forking.py        which tasks are forked from a process that has imported the framework
ports.py          the ports of the tasks
protection.py     who can reach the ports
ready_command.py  readiness commands
requirements.py   packages, ports and open files that a run needs here
relay.py          forwards published ports into the run's network namespace
doctor.py         what `tenfold doctor` says about namespaces on this machine
"""

from __future__ import annotations

from tenfold.cluster.cell_table import CellTraits

TRAITS = CellTraits(
    where="on this machine",
    on_this_machine=True,
    shares_files=True,
    forks=True,
    renders=False,
)
