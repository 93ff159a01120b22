"""The machine's clock set two hours forward, and two hours back, under a running cluster.

Really setting it would hit everybody on the machine. So a small library (clock.c) that is loaded
before all others shows another time of day to the supervisor and all its tasks, and lets the
steady clock alone, as the kernel does when the clock is set. (Debian's libfaketime 0.9.10 cannot
do this: with FAKETIME_DONT_FAKE_MONOTONIC its clock_nanosleep fails with EINVAL.)
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from chaos.ground import Ground, Run, python, shell, wait
from chaos.trial import Trial

AFTER_S = 4.0
PAUSE_S = 2.0
STARTS = 4

STEPS = """
import os, time
import tenfold
step = 0
while not os.path.exists("enough"):
    step += 1
    tenfold.progress(step, 1_000_000)
    time.sleep(0.05)
"""

CRASH = "echo $(cut -d ' ' -f 1 /proc/uptime) >> starts; exit 3"
"""Says when it began by a clock that nobody sets."""


def needs_compiler() -> str | None:
    """Why it cannot be tried here."""
    if sys.platform != "linux":
        return "it preloads a library, which takes Linux"
    return None if shutil.which("cc") else "it needs a C compiler (apt-get install gcc)"


def _library(home: Path) -> Path:
    """clock.c, compiled."""
    made = home / "clock.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", made, source], check=True, timeout=60)
    return made


def set_clock(trial: Trial) -> None:
    """Forward under one run, back under another."""
    library = _library(trial.home)
    for words, hours in (("forward", 2), ("back", -2)):
        _set(trial, library, words, hours)


def _set(trial: Trial, library: Path, words: str, hours: int) -> None:
    offset = trial.home / f"offset-{words}"
    offset.write_text("0\n")
    faked = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(offset)}
    rule = {"policy": "on-failure", "limit": STARTS - 1, "backoff": f"{PAUSE_S}s"}
    jobs = {"chief": python(STEPS), "crash": shell(CRASH, restart=rule)}
    cluster = {"cluster": f"clock-{words}", "hang": f"{AFTER_S}s", "jobs": jobs}
    ground = Ground.of(trial, cluster, env=faked)
    run = ground.up()
    wait(lambda: _starts(ground) and run.progress() > 0, 30, "a first crash, and progress")
    offset.write_text(f"{hours * 3600}\n")
    before = run.progress()
    wait(lambda: _shown(run, hours), 10, "the new time to be seen")
    time.sleep(AFTER_S + 2)
    _checks(trial, words, run, before)
    (ground.home / "enough").touch()


def _starts(ground: Ground) -> list[float]:
    path = ground.home / "starts"
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def _shown(run: Run, hours: int) -> bool:
    """Whether the supervisor lives in the other time: its status says when it was written."""
    updated = float(run.status()["seen"] or 0)
    return abs(updated - time.time() - hours * 3600) < 60


def _checks(trial: Trial, words: str, run: Run, before: float) -> None:
    told = f"set 2 hours {words}"
    trial.equal(f"{told}: reported hangs in {AFTER_S + 2:g} s", len(run.events("hang")), 0)
    trial.check(
        f"{told}: progress is still reported",
        f"{(run.progress() - before) * 1e6:.0f} steps more",
        run.progress() > before,
    )
    wait(lambda: run.state in ("failed", "stopped", "succeeded"), 60, "the budget to be used up")
    starts = _starts(run.ground)
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    trial.equal(f"{told}: starts of a task that may start {STARTS} times", len(starts), STARTS)
    shown = ", ".join(f"{pause:.1f} s" for pause in pauses)
    wanted = [PAUSE_S * 2**number for number in range(len(pauses))]
    right = [
        want * 0.95 <= pause <= want * 1.25 + 1.5
        for pause, want in zip(pauses, wanted, strict=True)
    ]
    trial.check(f"{told}: pauses between them are as planned (2, 4, 8 s)", shown, all(right))
    run.why()
