"""Small real clusters for tests: shells and sockets, no framework."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tenfold.planning.plan import Plan, Task

LISTEN = """
import os, socket, sys, time
host, port = os.environ["TENFOLD_ADDRESS"].split(":")
listener = socket.socket()
listener.bind(("0.0.0.0", int(port)))
listener.listen()
print("listening", port, flush=True)
time.sleep(float(sys.argv[1]))
"""


def shell(name: str, script: str, **more: Any) -> Task:
    """A task that runs a shell script."""
    job, _, index = name.partition("/")
    return Task(
        job=job, index=int(index or 0), command=("sh", "-c", script), workdir="/tmp", **more
    )


def listener(name: str, seconds: float = 600, **more: Any) -> Task:
    """A task that listens on its address."""
    job, _, index = name.partition("/")
    command = (sys.executable, "-c", LISTEN, str(seconds))
    return Task(job=job, index=int(index or 0), command=command, workdir="/tmp", **more)


def plan_of(*tasks: Task, success: tuple[str, ...] = ("chief",), **more: Any) -> Plan:
    """A plan of these tasks on the local cell."""
    values: dict[str, Any] = {"cluster": "c", "framework": "none", "cell": "local"}
    values |= {"directory": str(Path.cwd()), "stop_grace_s": 3.0} | more
    return Plan(tasks=tasks, success=success, **values)
