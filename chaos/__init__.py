"""Faults on real clusters, and what tenfold made of them: `make chaos`.

One module a group of faults; `trial` is what a case is, `ground` the clusters, `run` the command,
`report` the page docs/reliability.md. bench/ lies beside it: what it knows of processes, of
clusters and of the machine is used here, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"

if str(BENCH) not in sys.path:
    sys.path.append(str(BENCH))
