"""How throughput grows with workers, up to 20: the talk's "15.6 times on 20 nodes".

    python bench/scaling.py [--quick] [--json FILE] [--repeats N]

SIMULATED: the computation. This machine has neither 20 accelerators nor the cores to do without,
so each step a worker waits a fixed time off the processor, as it would for an accelerator. REAL:
everything else. `tenfold up` starts 4 parameter servers, a chief and 1 to 20 workers; each step
pulls all parameters from the ps over gRPC, and pushes an update of each after the wait. What is
measured is what the cluster adds to the computation. Each size has as many steps a worker.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from clusters import TASKS, end, tenfold, write_cluster
from measure import Bench, Case, Measured, arguments, run

WORKERS = (1, 2, 4, 8, 20)
SERVERS = 4


@dataclass(frozen=True)
class Load:
    """One step: `seconds` of simulated computation, `mib` of float32 parameters down and up."""

    seconds: float
    mib: float
    steps: int

    @property
    def words(self) -> str:
        """What every case says of itself."""
        return (
            f"the computation is simulated: {self.seconds:g} s a step off the processor, "
            f"{self.mib:g} MiB of parameters pulled and pushed each step"
        )


LOAD = Load(seconds=1.0, mib=4.0, steps=8)
HARDER = Load(seconds=0.25, mib=4.0, steps=30)
"""Four times the traffic of LOAD: the cluster's own work begins to show on two cores."""


def train(home: Path, workers: int, load: Load) -> Iterator[Measured]:
    """One cluster from `tenfold up` to its end; raises RuntimeError if an update is missing."""
    chief = [sys.executable, str(TASKS / "accelerated.py")]
    for name in ("seconds", "mib", "steps"):
        chief += [f"--{name}", str(getattr(load, name))]
    counts = {"ps": SERVERS, "worker": workers}
    jobs: dict[str, object] = {job: {"tasks": count} for job, count in counts.items()}
    jobs["chief"] = {"run": chief, "after": list(counts)}
    file = write_cluster(home, {"cluster": "scaling", "framework": "tensorflow", "jobs": jobs})
    runs = home / "runs"
    try:
        tenfold("up", file, "--runs", runs)
    finally:
        end(runs)
    log = max(runs.glob("*/*")) / "tasks" / "chief-0" / "stdout.log"
    told = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    if told["updates"] < told["steps"] or not 0 < told["moved"] <= 1:
        raise RuntimeError(f"updates are missing: {told}")
    yield Measured("throughput", "steps/s", told["steps"] / told["seconds"])
    yield Measured("gRPC traffic", "MB/s", told["network_bytes"] / told["seconds"] / 1e6)
    yield Measured("processors used", "cores", told["cpu_seconds"] / told["seconds"])


def compare(bench: Bench, sizes: tuple[int, ...], load: Load, repeats: int | None = None) -> None:
    """All sizes in turn; speed-up and efficiency against the first of the same round."""
    cases = {workers: _name(workers, load) for workers in sizes}
    for name in cases.values():
        bench.note(name, f"{load.words}; all else is real")
    bench.compare(
        *(
            Case(name, partial(train, bench.home / str(workers), workers, load))
            for workers, name in cases.items()
        ),
        repeats=repeats,
    )
    for workers, name in cases.items():
        for alone, together in bench.rounds(cases[sizes[0]], name, "throughput"):
            speedup = together / alone
            bench.add(name, Measured("speed-up", "×", speedup))
            bench.add(name, Measured("efficiency", "%", 100 * speedup * sizes[0] / workers))


def _name(workers: int, load: Load) -> str:
    """`20 workers`, and the load if it is not the usual one."""
    name = f"{workers} worker{'s' if workers > 1 else ''}"
    return name if load.seconds == LOAD.seconds else f"{name}, {load.seconds:g} s a step"


def measure(bench: Bench) -> None:
    """1 to 20 workers; the short form has fewer of them and fewer steps."""
    if bench.quick:
        compare(bench, (1, 4), replace(LOAD, steps=4))
        return
    compare(bench, WORKERS, LOAD)
    compare(bench, (1, 20), HARDER, repeats=1)


if __name__ == "__main__":
    sys.exit(run("scaling", measure, arguments(__doc__).parse_args(), repeats=3))
