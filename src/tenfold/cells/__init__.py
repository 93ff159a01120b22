"""Back ends where tasks run, one folder per cell. See `cluster.cell_table`.

    client_side.py      what commands, API and dashboard call of a cell: `ClientSide`
    supervisor_side.py  what the supervisor calls of a cell: `SupervisorSide` and `Cell`
    local/              processes of this machine
    docker/             containers of this machine's engine
    slurm/              steps of a batch job
    kubernetes/         Jobs of a cluster
    probing/            what the probes of `tenfold doctor` share
    rendering.py        the files that a cell renders from a plan, such as compose.yaml
    export.py           the directory that `tenfold render -o` writes beside them
    workdirs.py         paths of a plan inside a container
    settling.py         asks a cell now and then about runs whose supervisor is elsewhere

The folder of a cell is a package with

    __init__.py    TRAITS, a `tenfold.cluster.cell_table.CellTraits`; it imports nothing else
    client.py      CLIENT, a `ClientSide`
    supervisor.py  SUPERVISOR, a `SupervisorSide`
    settings.py    SETTINGS, the model of `cells.NAME` in a cluster file; optional

and whatever else the cell needs. docs/cells/contract.md says what a cell promises.
"""

from __future__ import annotations

import importlib

from tenfold.cells.client_side import ClientSide, secrets_of
from tenfold.cells.supervisor_side import (
    ISOLATION,
    Cause,
    Cell,
    Ended,
    ExitHandler,
    Handlers,
    Outcome,
    Patience,
    Placed,
    Protection,
    SupervisorSide,
    Wishes,
)
from tenfold.cluster.cell_table import CELLS
from tenfold.errors import UnavailableError

__all__ = [
    "ISOLATION",
    "Cause",
    "Cell",
    "ClientSide",
    "Ended",
    "ExitHandler",
    "Handlers",
    "Outcome",
    "Patience",
    "Placed",
    "Protection",
    "SupervisorSide",
    "Wishes",
    "client",
    "secrets_of",
    "supervisor",
]


def client(name: str) -> ClientSide:
    """The client side of the cell `name`.

    Raises UnavailableError if there is no such cell.
    """
    found: ClientSide = importlib.import_module(f"{_package(name)}.client").CLIENT
    return found


def supervisor(name: str) -> SupervisorSide:
    """The supervisor side of the cell `name`.

    Raises UnavailableError if there is no such cell.
    """
    found: SupervisorSide = importlib.import_module(f"{_package(name)}.supervisor").SUPERVISOR
    return found


def _package(name: str) -> str:
    if name not in CELLS:
        raise UnavailableError(
            f"there is no cell {name} in this version of tenfold",
            hint="available: " + ", ".join(CELLS),
        )
    return CELLS[name]
