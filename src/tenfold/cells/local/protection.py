"""Which local runs may start with the isolation that this machine offers.

Also the messages about it.

Pure. Owns: what counts as a task that listens, the refusal, and the words of a run's protection.
Leaves to others: finding what the machine offers (`launch.isolation`).
"""

from __future__ import annotations

from tenfold.cells import Protection
from tenfold.cells.local.ports import USUAL
from tenfold.errors import UnavailableError
from tenfold.frameworks import framework
from tenfold.launch.isolation import Isolation
from tenfold.planning.plan import Plan, Task


def require_protection(plan: Plan, wanted: str, way: Isolation) -> None:
    """Raise UnavailableError if tasks would be open to the network unasked.

    They may be open if the file or the command allows it.
    """
    if way.level != "none" or wanted == "none":
        return
    if wanted == "namespace":
        raise UnavailableError(
            f"this machine does not allow a namespace: {way.refused[0][1]}",
            hint="use --isolation auto to run without one",
        )
    listening = [task.name for task in plan.tasks if _listens(plan, task)]
    if wanted == "loopback" or (listening and not plan.expose):
        raise UnavailableError(
            f"everyone who can reach this machine could reach {_few(listening)} ({way.why})",
            hint="tenfold doctor says what mends that; where nobody can reach the machine, "
            "write `expose: true` into the file, or --isolation none",
        )


def _listens(plan: Plan, task: Task) -> bool:
    """Whether a task listens for its peers. Pages listen on loopback anyway."""
    if task.network == "host" or task.job in USUAL:
        return False
    by_port = task.ready is not None and task.ready.kind in ("tcp", "http")
    return framework(plan.framework).peers or bool(task.ports) or by_port


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more if names else "its tasks"


def protection(plan: Plan, way: Isolation) -> Protection:
    """The protection of a run, as in its status."""
    words = f"{way.why or 'no namespace (asked for)'}: {way.words}"
    if way.level == "namespace":
        words = way.words
    outside = sorted({t.job for t in plan.tasks if t.network == "host" and t.job not in USUAL})
    if outside and way.level != "none":
        words += f"; {', '.join(outside)} is on the network of the machine (`network: host`)"
    return Protection(way.kind, words)
