"""Output faster than anyone reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chaos.ground import Ground, Run, python
from chaos.trial import Trial
from tenfold.base.naming import label_of

TASKS = 13
LINE_BYTES = 64
LIMIT_MIB = 2
_MANY = (9 * LIMIT_MIB << 19) // LINE_BYTES

FLOOD = """
import os, sys, time
seconds, most, block = float(sys.argv[1]), int(sys.argv[2]), 256
name = os.environ["TENFOLD_TASK"].encode()
end, number = time.monotonic() + seconds, 0
while time.monotonic() < end and number < most:
    lines = [(b"%012d %s " % (n, name)).ljust(63, b"x") for n in range(number, number + block)]
    data = memoryview(b"\\n".join(lines) + b"\\n")
    while data:
        data = data[os.write(1, data):]
    number += block
with open("count-" + name.decode().replace("/", "-"), "w") as file:
    file.write(str(number))
"""
"""Lines of 64 bytes, numbered, for so long or so many; at its end a task says how many it wrote."""


def flood(trial: Trial) -> None:
    """13 tasks that write as fast as they can: what is kept, and whether it is whole."""
    _unlimited(trial)
    _limited(trial)


def _unlimited(trial: Trial) -> None:
    """Less than the limit of 1 GiB a stream: nothing may be missing."""
    seconds = trial.pick(1, 10)
    run, written = _flooded(trial, seconds)
    found = {name: Lines(_logs(run, name)) for name in written}
    lines = sum(written.values())
    wrong = [name for name, count in written.items() if not found[name].are(0, count)]
    rate = lines / seconds
    told = f"of {lines:,} lines ({rate:,.0f} a second, {lines * LINE_BYTES / 2**20:,.0f} MiB)"
    lost = lines - sum(len(one.numbers) for one in found.values())
    trial.equal("tasks that flooded", len(written), TASKS)
    trial.equal(f"{told}: lines lost", lost, 0)
    trial.equal(f"{told}: lines split", sum(one.torn for one in found.values()), 0)
    trial.equal("tasks with different lines than they wrote", len(wrong), 0)
    run.why()


def _limited(trial: Trial) -> None:
    """Far more than the limit: the end of it is there, and not much more."""
    run, written = _flooded(trial, 60, _MANY, log_limit=f"{LIMIT_MIB}MiB")
    found = {name: Lines(_logs(run, name)) for name in written}
    sizes = [len(one.numbers) * LINE_BYTES / 2**20 for one in found.values()]
    wrong = [
        name
        for name, count in written.items()
        if found[name].torn or not found[name].are(count - len(found[name].numbers), count)
    ]
    told = (
        f"log_limit {LIMIT_MIB} MiB, {sum(written.values()) * LINE_BYTES / 2**20:,.0f} MiB written"
    )
    trial.check(
        f"{told}: kept of each stream: at least the limit, at most twice the limit and 1 MiB",
        f"{min(sizes):.1f} to {max(sizes):.1f} MiB",
        min(sizes) >= LIMIT_MIB and max(sizes) <= 2 * LIMIT_MIB + 1,
    )
    trial.equal(f"{told}: tasks whose last lines are incomplete", len(wrong), 0)


def _logs(run: Run, task: str) -> list[Path]:
    """A task's log, the older part first."""
    log = run.directory.task(label_of(task)).log("stdout")
    return [path for path in (log.with_name(f"{log.name}.1"), log) if path.exists()]


def _flooded(
    trial: Trial, seconds: float, most: int = 1 << 40, **more: object
) -> tuple[Run, dict[str, int]]:
    """A run that is over, and how many lines each task wrote."""
    jobs = {"flood": python(FLOOD, str(seconds), str(most), tasks=TASKS)}
    ground = Ground.of(trial, {"cluster": "flood", "jobs": jobs, **more})
    run = ground.up()
    run.until("succeeded", "failed", "stopped", timeout_s=seconds + 120)
    trial.equal("the run", run.state, "succeeded")
    counts = {
        f"flood/{path.name.rpartition('-')[2]}": int(path.read_text())
        for path in ground.home.glob("count-*")
    }
    return run, counts


class Lines:
    """The numbered lines of a log: their numbers, and how many are no whole line."""

    def __init__(self, paths: list[Path]) -> None:
        data = np.concatenate([np.fromfile(path, dtype=np.uint8) for path in paths])
        whole = len(data) // LINE_BYTES
        table = data[: whole * LINE_BYTES].reshape(whole, LINE_BYTES)
        digits = table[:, :12].astype(np.int64) - ord("0")
        good = ((digits >= 0) & (digits <= 9)).all(axis=1) & (table[:, 63] == ord("\n"))
        good &= (table[:, 12:63] == table[:1, 12:63]).all(axis=1)
        self.numbers = digits[good] @ (10 ** np.arange(11, -1, -1, dtype=np.int64))
        self.torn = int((~good).sum()) + (len(data) % LINE_BYTES != 0)

    def are(self, first: int, end: int) -> bool:
        """Whether they are all from `first` to before `end`, in order."""
        return np.array_equal(self.numbers, np.arange(first, end, dtype=np.int64))
