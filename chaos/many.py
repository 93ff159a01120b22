"""A thousand tasks that sleep, half of which fail at a random moment."""

from __future__ import annotations

import time
from math import ceil

from chaos import leftovers
from chaos.ground import Ground, Run, shell, wait
from chaos.trial import Trial

FATE = """
number=${TENFOLD_TASK#*/}
echo begun
if [ -e lives/$number ]; then exec sleep 3600; fi
: > lives/$number
read -r after code < fates/$number
if [ $code = 0 ]; then exec sleep 3600; fi
sleep $after
echo $TENFOLD_TASK $code >> exits
exit $code
"""
"""In its first life a task meets its fate; in its second it sleeps."""

_STEADY_S = 20.0
_LOOK_S = 0.5
"""Looking at a thousand tasks takes a core from those who start them."""

_BAD = [code for code in range(1, 126) if code != 2]


def thousand(trial: Trial) -> None:
    """From the command to the last process gone."""
    tasks = trial.pick(100, 1000)
    rule = {"policy": "on-failure", "limit": 1, "backoff": "1s"}
    cluster = {"cluster": "many", "jobs": {"nap": shell(FATE, tasks=tasks, restart=rule)}}
    ground = Ground.of(trial, cluster)
    fates = _fates(trial, ground, tasks)
    begun = time.time()
    run = ground.up()
    wait(lambda: len(run.events("task-started")) >= tasks, 120, f"{tasks} starts", _LOOK_S)
    starts = sorted(event["time"] - begun for event in run.events("task-started")[:tasks])
    trial.most(
        f"{tasks} tasks: from the command to a task's start, 99 of 100 (and the last: "
        f"{starts[-1]:.2f} s)",
        starts[ceil(0.99 * tasks) - 1],
        5.0,
        "s",
    )
    _accounted(trial, run, fates)
    _steady(trial, run, tasks)
    run.why()
    _down(trial, run)


def _fates(trial: Trial, ground: Ground, tasks: int) -> dict[str, int]:
    """Half of the tasks get a bad exit code and a moment. Gives the codes, by task."""
    longest = trial.pick(3, 20)
    bad = set(trial.rng.sample(range(tasks), tasks // 2))
    (ground.home / "lives").mkdir()
    (ground.home / "fates").mkdir()
    fates = {}
    for number in range(tasks):
        code = trial.rng.choice(_BAD) if number in bad else 0
        after = trial.rng.uniform(1, longest)
        (ground.home / "fates" / str(number)).write_text(f"{after:.2f} {code}\n")
        fates[f"nap/{number}"] = code
    return fates


def _accounted(trial: Trial, run: Run, fates: dict[str, int]) -> None:
    failing = {task: code for task, code in fates.items() if code}
    wait(lambda: len(run.events("task-exited")) >= len(failing), 120, "the failures", _LOOK_S)
    wait(lambda: _all_live(run, len(fates)), 60, "all tasks to run again", _LOOK_S)
    told = {event["task"]: event["exit_code"] for event in run.events("task-exited")}
    lines = (run.ground.home / "exits").read_text().splitlines()
    really = {task: int(code) for task, code in (line.split() for line in lines)}
    trial.equal("tasks that failed, as they recorded", len(really), len(failing))
    right = sum(told.get(task) == code for task, code in failing.items())
    trial.equal("exits reported with the correct code", right, len(failing))
    trial.equal("reported exits", len(run.events("task-exited")), len(failing))
    again = {name: task["restarts"] for name, task in run.tasks().items()}
    wrong = [name for name, code in fates.items() if again[name] != (1 if code else 0)]
    trial.equal("tasks with a wrong number of starts", len(wrong), 0)


def _all_live(run: Run, tasks: int) -> bool:
    return [task["state"] for task in run.tasks().values()].count("running") == tasks


def _steady(trial: Trial, run: Run, tasks: int) -> None:
    """What tenfold itself takes while all sleep."""
    seconds = trial.pick(5, int(_STEADY_S))
    ours = run.own()
    before, begun = sum(_cpu(one) for one in ours), time.monotonic()
    time.sleep(seconds)
    used = sum(_cpu(one) for one in ours) - before
    share = 100 * used / (time.monotonic() - begun)
    told = f"{tasks} sleep for {seconds} s: CPU of tenfold's own {len(ours)} processes"
    trial.most(told, share, 10.0, "% of a core")


def _cpu(process: object) -> float:
    times = process.cpu_times()  # type: ignore[attr-defined]
    return float(times.user + times.system)


def _down(trial: Trial, run: Run) -> None:
    begun = time.monotonic()
    run.down()
    trial.most("`tenfold down`", time.monotonic() - begun, 30.0, "s")
    trial.equal("processes left after it", len(leftovers.wait_gone(trial.home, 1)), 0)
    trial.equal("state", run.state, "stopped")
