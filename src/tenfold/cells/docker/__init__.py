"""The Docker cell: every task is a container of this machine's engine.

client.py      what `tenfold` calls before, during and after a run
supervisor.py  starts, signals and watches containers
settings.py    the model of `cells.docker`
engine.py      requests to the engine
project.py     the compose project of a run
ends.py        why a container ended
compose.py     renders compose.yaml
doctor.py      what `tenfold doctor` says about the engine and compose
fit.py         what the engine lacks for a plan: images, GPUs
"""

from __future__ import annotations

from tenfold.cluster.cell_table import CellTraits

TRAITS = CellTraits(where="on Docker")
