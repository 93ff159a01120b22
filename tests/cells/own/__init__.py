"""A cell that only these tests have: this package, and a line in `cluster.cell_table.CELLS`.

Tasks are plain child processes of the supervisor, each on a port of this machine.
"""

from __future__ import annotations

from tenfold.cluster.cell_table import CellTraits

TRAITS = CellTraits(
    where="on a cell of my own",
    on_this_machine=True,
    shares_files=True,
    renders=False,
)
