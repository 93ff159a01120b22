"""The table of cells: their names, and the module of each.

A cell of one's own is a module with a `KIND` (see `tenfold.cells`) and a line here.
"""

from __future__ import annotations

CELLS = {
    "local": "tenfold.cells.local.supervisor",
    "docker": "tenfold.cells.docker.supervisor",
    "slurm": "tenfold.cells.slurm.client",
    "kubernetes": "tenfold.cells.kubernetes.client",
}
