"""A task that takes more memory than it may."""

from __future__ import annotations

from chaos.ground import Ground, python, shell, wait
from chaos.trial import Trial

LIMIT = "128MiB"

HOG = """
import time
print("eating", flush=True)
kept = []
while True:
    kept.append(bytearray(8 << 20))
    time.sleep(0.01)
"""


def out_of_memory(trial: Trial) -> None:
    """It is named as that, and nobody else is hit."""
    jobs = {
        "hog": python(HOG, resources={"memory": LIMIT}, restart="never"),
        "other": shell("exec sleep 600", tasks=3),
    }
    run = Ground.of(trial, {"cluster": "oom", "jobs": jobs}).up()
    run.until("running", "failed")
    pids = {name: task["pid"] for name, task in run.tasks().items() if name != "hog/0"}
    wait(lambda: run.events("task-exited"), 60, "the task to be killed")
    told = run.events("task-exited")[0]
    trial.equal("the first task that died", told["task"], "hog/0")
    trial.equal("its signal and cause", f"{told['signal']}, {told.get('cause')}", "SIGKILL, oom")
    trial.check("the reason", told.get("reason"), "memory" in str(told.get("reason")))
    run.until("failed", "succeeded", "stopped")
    others = [
        event["task"] for event in run.events("task-exited")[1:] if event["signal"] == "SIGKILL"
    ]
    trial.equal(f"other tasks (of {len(pids)}) that were killed with it", len(others), 0)
    first = run.why()
    if first is not None:
        trial.check("first line of `tenfold why`", first, "memory" in first)
