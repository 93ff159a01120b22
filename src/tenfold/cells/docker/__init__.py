"""The Docker cell: every task is a container of this machine's engine.

supervisor.py  starts, signals and watches containers
engine.py      requests to the engine
ends.py        why a container ended
compose.py     renders compose.yaml
doctor.py      what `tenfold doctor` says about the engine and compose
"""

from __future__ import annotations

from tenfold.cell_table import CellTraits

TRAITS = CellTraits(where="on Docker")
