"""A training that costs nothing: steps of some milliseconds, progress, checkpoints of an array.

For faults whose point does not need TensorFlow. It says `resumed at step N` when it goes on.
"""

from __future__ import annotations

from typing import Any

from chaos.ground import Run, python

TRAIN = """
import sys, time
import numpy
import tenfold
steps, kib, every_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
place = sys.argv[4] or None
rows = numpy.zeros(kib * 256, dtype=numpy.float32)
saved = tenfold.checkpoint.arrays(place=place, every_s=every_s, keep=2)
found = saved.restore({"rows": rows})
begun = 0
if found is not None:
    rows, begun = found[0]["rows"], found[1].step
    assert (rows == begun).all(), "a checkpoint of another step's rows"
    print("resumed at step", begun)
for step in range(begun + 1, steps + 1):
    time.sleep(0.02)
    rows += 1
    tenfold.progress(step, steps)
    if saved.due():
        saved.save(step, {"rows": rows}, {"step": step})
assert (rows == steps).all(), "a step was lost or trained twice"
print("trained", steps, "steps")
"""
"""Every element counts the steps, so that a lost or repeated one shows."""


def training(
    steps: int, *, kib: int = 64, every_s: float = 0.5, place: str = "", **more: Any
) -> dict[str, Any]:
    """The job `chief`: so many steps of 20 ms, a checkpoint of so many KiB every so often."""
    return python(TRAIN, str(steps), str(kib), str(every_s), place, **more)


def resumed_at(run: Run) -> list[int]:
    """The steps that the chief's lives went on from."""
    lines = run.log("chief/0").splitlines()
    return [int(line.split()[-1]) for line in lines if line.startswith("resumed at step")]
