"""Signals: a stop below wrappers, tasks that signal what they can reach, and an inherited state."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from chaos import ROOT
from chaos.ground import Ground, Run, kill, python, shell, wait
from chaos.trial import Trial
from clusters import TENFOLD

GRACE_S = 20.0
_ENDS = ("succeeded", "failed", "stopped")
_ISOLATIONS = ("namespace", "none")

SAVES = """
import pathlib, signal, sys, time
def save(*_):
    time.sleep(1)
    pathlib.Path(sys.argv[1] + ".saved").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
pathlib.Path(sys.argv[1] + ".begun").touch()
while True:
    time.sleep(0.05)
"""

WRAPPERS = (
    "{} && echo done",
    "{} | cat",
    "{}; exit $?",
    "exec {}",
    "({}) & wait",
    "setsid {} & wait",
    "(setsid setsid {} &); sleep 600",
    "bash -c '{}; true'; true",
)


def wrapped_stops(trial: Trial) -> None:
    """A training below a shell, a pipe, in a session of its own: it saves before it is killed."""
    for isolation in _ISOLATIONS:
        forms = trial.rng.sample(WRAPPERS, trial.pick(3, len(WRAPPERS)))
        _wrapped(trial, isolation, forms)


def _wrapped(trial: Trial, isolation: str, forms: Sequence[str]) -> None:
    word = trial.home / f"word-{isolation}"
    program = trial.home / "saves.py"
    program.write_text(SAVES)
    jobs: dict[str, Any] = {}
    for number, form in enumerate(forms):
        command = shlex.join([sys.executable, str(program), f"{word}{number}"])
        jobs[f"job{number}"] = shell(form.format(command))
    cluster = {"cluster": "wrapped", "stop_grace": f"{GRACE_S:g}s", "jobs": jobs}
    run = Ground.of(trial, cluster, "--isolation", isolation).up()
    wait(
        lambda: len(list(trial.home.glob(f"{word.name}*.begun"))) == len(forms), 60, "all to begin"
    )
    run.down()
    saved = len(list(trial.home.glob(f"{word.name}*.saved")))
    trial.equal(
        f"isolation {isolation}: of {len(forms)} wrapped trainings saved", saved, len(forms)
    )
    killed = [one["task"] for one in run.events("task-signalled") if one["signal"] == "SIGKILL"]
    trial.equal(f"isolation {isolation}: tasks that were killed", len(killed), 0)
    run.why()


STRAY = """
import os, signal, sys, time
for number in map(int, sys.argv[1:]):
    os.kill(os.getppid(), number)
    time.sleep(0.05)
"""

WAITS = """
import os, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
"""


def stray_signals(trial: Trial) -> None:
    """Tasks send every signal there is to their parent, in an order that the seed draws."""
    for isolation in _ISOLATIONS:
        for preload in ("none", "json"):
            _stray(trial, isolation, preload)


def _stray(trial: Trial, isolation: str, preload: str) -> None:
    what = f"isolation {isolation}, preload {preload}"
    numbers = sorted(signal.valid_signals() - {signal.SIGKILL})
    if isolation == "namespace":
        numbers.append(signal.SIGKILL)  # without one, nothing can be done against it
    trial.rng.shuffle(numbers)
    go = trial.home / f"go-{isolation}-{preload}"
    jobs = {
        "bad": python(STRAY, *(str(int(one)) for one in numbers), preload=preload),
        "good": python(WAITS, str(go), tasks=3, preload=preload),
    }
    cluster = {"cluster": "stray", "jobs": jobs, "success": ["bad", "good"]}
    run = Ground.of(trial, cluster, "--isolation", isolation).up()
    wait(lambda: run.events("task-exited"), 60, lambda: f"the signals to be sent; {run}")
    if preload != "none":
        victims = [one.pid for one in run.own() if "has imported" in " ".join(one.cmdline())]
        trial.equal(f"{what}: preload servers killed", sum(map(_killed, victims)), 1)
    go.touch()
    run.until(*_ENDS)
    trial.equal(f"{what}: the run, after {len(numbers)} signals", run.state, "succeeded")
    codes = [task["exit_code"] for task in run.tasks().values()]
    trial.equal(f"{what}: exit codes", codes, [0] * 4)
    run.why()


def _killed(pid: int) -> bool:
    return kill(pid, signal.SIGKILL)


INHERITED = """
import os, signal, sys
what, numbers, *argv = sys.argv[1:]
for number in map(int, numbers.split(",")):
    if what == "ignored":
        signal.signal(number, signal.SIG_IGN)
    else:
        signal.pthread_sigmask(signal.SIG_BLOCK, [number])
os.execv(argv[0], argv)
"""


def inherited_signals(trial: Trial) -> None:
    """`up` by a parent that blocks or ignores signals: SIGCHLD and SIGTERM, and others drawn."""
    for what in ("blocked", "ignored"):
        for isolation in _ISOLATIONS:
            for _ in range(trial.pick(1, 4)):
                _inherited(trial, what, isolation)


def _inherited(trial: Trial, what: str, isolation: str) -> None:
    others = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
    drawn = {*trial.rng.sample(others, 8), signal.SIGCHLD, signal.SIGTERM}
    jobs = {"chief": shell("exit 0"), "stays": shell("exec sleep 600")}
    cluster = {"cluster": "inherited", "stop_grace": "60s", "jobs": jobs, "success": ["chief"]}
    ground = Ground.of(trial, cluster)
    up = [*TENFOLD, "up", str(ground.file), "--runs", str(ground.runs), "--isolation", isolation]
    numbers = ",".join(str(int(one)) for one in sorted(drawn))
    done = subprocess.run(
        [sys.executable, "-c", INHERITED, what, numbers, *up],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=50,
        check=False,
        env=ground.environment() | {"PATH": os.environ["PATH"]},
        cwd=ROOT,
    )
    run: Run = ground.newest()
    told = f"{done.returncode}, {run.state}"
    trial.equal(f"{what}, isolation {isolation}: exit code, and the run", told, "0, succeeded")
    killed = [one for one in run.events("task-signalled") if one["signal"] == "SIGKILL"]
    trial.equal(f"{what}, isolation {isolation}: tasks that only SIGKILL ended", len(killed), 0)
    run.why()
