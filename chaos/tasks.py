"""Tasks that behave badly: deaf to SIGTERM, and crashing again and again."""

from __future__ import annotations

import signal
import time

from chaos import leftovers
from chaos.ground import Ground, Run, kill, shell, wait
from chaos.trial import Trial
from clusters import tree

GRACE_S = 2.0

DEAF = """
trap '' TERM INT HUP
setsid sh -c 'trap "" TERM INT HUP; while :; do sleep 600; done' &
sh -c 'trap "" TERM INT HUP; setsid sleep 600 & while :; do sleep 600; done' &
echo deaf
while :; do sleep 600; done
"""


def ignores_term(trial: Trial) -> None:
    """A task that hears no SIGTERM, its children and grandchildren in sessions of their own."""
    for isolation in ("namespace", "none"):
        _deaf(trial, isolation)


def _deaf(trial: Trial, isolation: str) -> None:
    cluster = {"cluster": "deaf", "stop_grace": f"{GRACE_S:g}s", "jobs": {"deaf": shell(DEAF)}}
    run = Ground.of(trial, cluster, "--isolation", isolation).up()
    wait(lambda: "deaf" in run.log("deaf/0"), 30, "the task's trap")
    pid = run.pid("deaf/0")
    wait(lambda: len(tree(pid)) >= 4, 10, "its children")
    victims = [one for one in leftovers.found(trial.home) if one in _below(run)]
    begun = time.monotonic()
    run.down()
    took = _until_gone(victims, 30) - begun
    trial.most(f"isolation {isolation}: from `down` to the end", took, GRACE_S + 1, "s")
    trial.check(
        f"isolation {isolation}: the task and its tree ({len(victims)} processes) had the whole "
        f"grace of {GRACE_S:g} s",
        f"{took:.2f} s",
        took >= GRACE_S - 0.1,
    )
    left = leftovers.wait_gone(trial.home, 2)
    trial.equal(f"isolation {isolation}: processes left", len(left), 0)
    run.why()


def _below(run: Run) -> set[int]:
    pids = {task["pid"] for task in run.tasks().values()}
    return {one.pid for pid in pids for one in tree(pid)}


def _until_gone(pids: list[int], timeout_s: float) -> float:
    """When the last of them was gone, by the steady clock."""
    wait(lambda: not any(kill(pid, 0) for pid in pids), timeout_s, "the whole tree to end")
    return time.monotonic()


LIMIT = 5
BACKOFF_S = 0.5

CRASH = """
echo begun >> starts
sleep 0.3
exit 3
"""


def crash_loop(trial: Trial) -> None:
    """A task that always crashes, its supervisor killed in the middle and brought up again.

    A retry that was decided before the kill and not begun is what the next `up` begins with; a
    start that the kill cut short is no retry, and `up` adds one of its own.
    """
    for moment in ("in a pause", "during a run of the task"):
        rule = {"policy": "on-failure", "limit": LIMIT, "backoff": f"{BACKOFF_S}s"}
        job = shell(CRASH, restart=rule)
        ground = Ground.of(trial, {"cluster": "loop", "jobs": {"chief": job}})
        run = ground.up()
        before = trial.rng.randrange(2, LIMIT)
        _wait_for_start(run, before, pause=moment == "in a pause")
        killed = _starts(ground)
        kill(run.supervisor(), signal.SIGKILL)
        leftovers.wait_gone(trial.home, 5)
        again = ground.up()
        again.until("failed", "succeeded", "stopped", timeout_s=120)
        wanted = LIMIT + 1 + (moment == "during a run of the task")
        trial.equal(
            f"limit {LIMIT}, supervisor killed {moment} after start {killed}: total starts",
            _starts(ground),
            wanted,
        )
        retries = [event["in_s"] for event in again.events("task-retried")]
        trial.check(
            f"killed {moment}: pauses keep growing",
            ", ".join(f"{pause:.2f} s" for pause in retries) or "none",
            bool(retries) and retries[0] >= BACKOFF_S * 2.0 ** (LIMIT - len(retries)) * 0.95,
        )
        again.why()


def _starts(ground: Ground) -> int:
    path = ground.home / "starts"
    return len(path.read_text().splitlines()) if path.exists() else 0


def _wait_for_start(run: Run, number: int, *, pause: bool) -> None:
    """Wait for this start of the task; with `pause` for its end, too."""
    wait(lambda: _starts(run.ground) >= number, 60, f"start {number}")
    if pause:
        wait(lambda: len(run.events("task-retried")) >= number, 10, "its end")
        told = "its status.json to say so"
        wait(lambda: len(run.on_disk("chief/0").get("retried", ())) >= number, 5, told)
