"""Names of tasks (`worker/3`), their labels (`worker-3`), and ranges of tasks."""

from __future__ import annotations

from collections.abc import Sequence


def label_of(name: str) -> str:
    """The label of a task for host and file names: `worker-3` for `worker/3`.

    A label stays as it is.
    """
    return name.replace("/", "-")


def name_of(label: str) -> str:
    """Return the name of the task that has this label: `worker/3` for `worker-3`."""
    return "/".join(label.rsplit("-", 1))


def job_of(name: str) -> str:
    """Return the job of a task: `worker` for `worker/3`."""
    return name.rpartition("/")[0]


def ranges(tasks: Sequence[str]) -> str:
    """`worker/0-3, worker/5, ps/1`."""
    runs: list[tuple[str, int, int]] = []
    others = []
    for task in tasks:
        job, _, index = task.rpartition("/")
        if not index.isdigit():
            others.append(task)
        elif runs and runs[-1][0] == job and runs[-1][2] == int(index) - 1:
            runs[-1] = (job, runs[-1][1], int(index))
        else:
            runs.append((job, int(index), int(index)))
    shown = [f"{job}/{a}" if a == b else f"{job}/{a}-{b}" for job, a, b in runs]
    return ", ".join([*shown, *others])
