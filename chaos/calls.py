"""The supervisor killed at every system call with which it changes anything, one after the other.

strace kills it on entering the call, so that the call is not made. Every call of a whole small run
is counted first; then each is the last one of a run of its own. The supervisor's main thread does
all of this; its threads (the sampler of traffic) are not counted.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaos import leftovers
from chaos.ground import Ground, Run, last, shell
from chaos.trial import Missed, Trial
from tenfold import cells
from tenfold.bringup import api
from tenfold.run import jsonfiles, rundir
from tenfold.run.rundir import RunDirectory

CALLS = (
    *("openat", "mkdir", "mkdirat", "rename", "renameat", "unlink", "unlinkat"),
    *("write", "ftruncate", "fsync", "flock", "chmod"),
    *("symlink", "link", "bind", "listen", "sendto", "sendmsg", "kill", "setsid"),
    *("clone", "clone3", "vfork"),
)

_LINE = re.compile(r"(?P<call>\w+)\((?P<rest>.*)")
_TRIES_AGAIN = 10
_RUN_S = 60.0


@dataclass(frozen=True)
class Moment:
    """The `number`-th time that the supervisor makes this call, counted from 1; whether it is on
    the way of a state file to its place."""

    call: str
    number: int
    state: bool


def needs_strace() -> str | None:
    """Why it cannot be tried here."""
    return None if shutil.which("strace") else "it needs strace (apt-get install strace)"


def supervisor_calls(trial: Trial) -> None:
    """A run that is killed at each call in turn, looked at, and now and then brought up again."""
    ground = Ground.of(trial, _cluster())
    whole, code = _supervised(ground, None)
    if code:
        raise Missed(f"the undisturbed run ended with {code}: {last(whole.supervisor_log())}")
    moments = _moments(trial.home / "calls")
    shape = _shape(whole.directory)
    chosen = _few(trial, moments) if trial.quick else moments
    tally: Counter[str] = Counter()
    for number, moment in enumerate(chosen):
        again = number % _TRIES_AGAIN == 0
        if again:
            trial.say(f"    {number + 1} of {len(chosen)}: {moment.call} {moment.number}")
        tally.update(_one(trial, ground, moment, shape, again=again))
    calls = ", ".join(f"{n} {call}" for call, n in Counter(m.call for m in chosen).most_common())
    trial.check(
        f"killed at {len(chosen)} of {len(moments)} state-changing calls",
        f"{tally['killed']} killed ({calls}); {tally['missed']} runs ended before",
        tally["missed"] <= max(2, len(chosen) // 10),
    )
    trial.equal("runs that left a process after 5 s", tally["left"], 0)
    trial.equal("state files with neither the old nor the new state", tally["mixed"], 0)
    trial.equal("event logs with an incomplete line", tally["events"], 0)
    trial.equal("failures or wrong states of `tenfold ps`", tally["ps"], 0)
    trial.equal(f"`tenfold up` that failed afterwards (of {tally['again']} tried)", tally["up"], 0)


def _cluster() -> dict[str, Any]:
    once = "test -e begun && exit 0; : > begun; echo hello; sleep 0.2; exit 3"
    restart = {"policy": "on-failure", "backoff": "0.1s"}
    jobs = {
        "chief": shell(once, restart=restart, after={"ps": "started"}),
        "ps": shell("trap 'exit 0' TERM; while :; do sleep 0.1; done"),
    }
    return {"cluster": "calls", "stop_grace": "2s", "jobs": jobs}


def _supervised(ground: Ground, moment: Moment | None) -> tuple[Run, int]:
    """A run whose supervisor strace watches, to its end, and how that ended. What `tenfold up`
    does before the supervisor begins is done here."""
    (ground.home / "begun").unlink(missing_ok=True)
    plan = api.planned(ground.file)
    directory = rundir.create(ground.runs, plan.cluster)
    jsonfiles.write_json(directory.plan, plan.to_json())
    orders = {
        "plan": plan.to_json(hide_secrets=False),
        "wishes": asdict(cells.Wishes()),
        "attached": False,
    }
    argv = ["strace", "-qq", "-y", "-o", str(ground.trial.home / "calls")]
    argv += ["-e", f"trace={','.join(CALLS)}", "-e", "signal=none"]
    if moment:
        argv += ["-e", f"inject={moment.call}:signal=KILL:when={moment.number}"]
    argv += [sys.executable, "-m", "tenfold.supervise", str(directory.path)]
    with open(directory.supervisor_log, "ab") as log:
        done = subprocess.run(
            argv,
            input=json.dumps(orders).encode() + b"\n",
            stdout=log,
            stderr=log,
            env=ground.environment(),
            timeout=_RUN_S,
            check=False,
        )
    return Run(ground, directory), done.returncode


def _moments(traced: Path) -> list[Moment]:
    """The calls of a trace that change anything: files that are made or written, messages to the
    launch server, processes."""
    numbers: Counter[str] = Counter()
    found = []
    for line in traced.read_text(errors="replace").splitlines():
        if (seen := _LINE.match(line)) is None:
            continue
        call, rest = seen["call"], seen["rest"]
        numbers[call] += 1
        reads = call == "openat" and not re.search(r"O_CREAT|O_TRUNC|O_WRONLY|O_RDWR", rest)
        inner = call == "write" and re.match(r"\d+<(anon_inode|pipe|UNIX)", rest)
        if not reads and not inner:
            state = call in ("write", "renameat") and "status.json" in rest
            found.append(Moment(call, numbers[call], state))
    return found


def _few(trial: Trial, moments: list[Moment]) -> list[Moment]:
    """Half of them where a state file could be torn."""
    torn = [moment for moment in moments if moment.state]
    others = [moment for moment in moments if not moment.state]
    return trial.rng.sample(torn, 3) + trial.rng.sample(others, 3)


def _one(
    trial: Trial, ground: Ground, moment: Moment, shape: dict[str, set[str]], *, again: bool
) -> Counter[str]:
    """One kill; what was wrong after it, counted."""
    run, code = _supervised(ground, moment)
    tally = Counter({"killed" if code in (-9, 137) else "missed": 1})
    left = leftovers.wait_gone(trial.home, 5)
    mixed = _mixed(run.directory, shape)
    wrong = {
        "left": bool(left),
        "mixed": bool(mixed),
        "events": not _events_whole(run.directory),
        "ps": not _shown(run, killed=code != 0),
    }
    for what in (name for name, is_so in wrong.items() if is_so):
        tally[what] += 1
        trial.say(f"    {moment}: {what}: {left or mixed or last(run.supervisor_log())}")
    if again:
        run.why()
        tally["again"] += 1
        (ground.home / "begun").unlink(missing_ok=True)
        ended = ground.up().until("succeeded", "failed", "stopped", timeout_s=30)
        tally["up"] += ended != "succeeded"
    return tally


def _state_files(run: RunDirectory) -> list[Path]:
    return [run.plan, run.status, *(task.status for task in run.tasks())]


def _shape(run: RunDirectory) -> dict[str, set[str]]:
    """The keys of each kind of state file, of a run that went through."""
    kinds = {"plan.json": run.plan, "status.json": run.status, "tasks": run.task("ps-0").status}
    return {kind: set(json.loads(path.read_text())) for kind, path in kinds.items()}


def _mixed(run: RunDirectory, shape: dict[str, set[str]]) -> list[str]:
    """State files that are there and not whole."""
    found = []
    for path in _state_files(run):
        if not path.exists():
            continue
        wanted = shape["tasks" if path.parent.parent.name == "tasks" else path.name]
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            whole = set(told) == wanted
        except ValueError:
            whole = False
        if not whole:
            found.append(str(path))
    return found


def _events_whole(run: RunDirectory) -> bool:
    if not run.events.exists():
        return True
    lines = run.events.read_bytes()
    try:
        return all(isinstance(json.loads(line), dict) for line in lines.splitlines()) and (
            lines[-1:] in (b"", b"\n")
        )
    except ValueError:
        return False


def _shown(run: Run, *, killed: bool) -> bool:
    """Whether `tenfold ps` shows the run for what it is."""
    done = run.ground.tenfold("ps", f"{run.directory.cluster}/{run.directory.run}", "--json")
    if done.returncode:
        return False
    told = json.loads(done.stdout)
    alone = told["state"] in ("failed", "succeeded") if killed else told["state"] == "succeeded"
    return alone and not told["damaged"]
