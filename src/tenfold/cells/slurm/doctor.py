"""Slurm: its commands, its controller and its nodes.

Owns: telling the reasons apart. Its commands read slurm.conf before they do anything, and some
wait long for it or for the controller, so each has a bound.
"""

from __future__ import annotations

import re
import shutil
import time

from tenfold.base.quantities import limit_text
from tenfold.cells.probing.ask import Answer, ask
from tenfold.cells.probing.findings import Finding, State
from tenfold.cells.probing.hints import install, start_service

PAGE = "https://slurm.schedmd.com/quickstart_admin.html"
COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
"""The commands that tenfold and this probe use."""

_UP = re.compile(r"^Slurmctld\((\w+)\) at (\S+) is UP", re.M)
_DOWN = re.compile(r"^Slurmctld\((\w+)\) at (\S+) is DOWN", re.M)
_USABLE = ("idle", "mix", "alloc", "comp", "plnd")
_NO_CONFIGURATION = re.compile(
    r"configuration source|cannot stat file|process configuration file|slurm\.conf", re.I
)


def slurm(timeout_s: float = 10.0) -> Finding:
    """The Slurm cluster of this machine: its version, or why it is unusable.

    It is the one that Slurm's commands use.

    Ends after about `timeout_s` seconds, even if a command hangs.
    """
    absent = [name for name in COMMANDS if shutil.which(name) is None]
    if len(absent) == len(COMMANDS):
        return _found("missing", None, "the commands of Slurm are not installed", _get_slurm())
    if absent:
        return _found(
            "broken", None, f"the commands {_and(absent)} of Slurm cannot be found", _get_slurm()
        )
    start = time.monotonic()
    answer = ask(["scontrol", "ping"], timeout_s)
    if answer is None:
        return _found("broken", None, *_silent(timeout_s))
    up = _UP.search(answer.out)
    if up is None:
        return _found("broken", None, *_why(answer))
    return _answers(up[2], timeout_s - (time.monotonic() - start))


def _found(state: State, version: str | None, message: str, hint: str | None) -> Finding:
    return Finding("cell", "slurm", state, version, message, hint)


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _get_slurm() -> str:
    return install(PAGE, apt="slurm-client", dnf="slurm", zypper="slurm", pacman="slurm-llnl")


def _silent(timeout_s: float) -> tuple[str, str]:
    return (
        f"Slurm gives no response within {limit_text(timeout_s)}",
        "check slurmctld and its address with scontrol ping",
    )


def _why(answer: Answer) -> tuple[str, str]:
    """Message and hint for a `scontrol ping` that reached nobody."""
    text = answer.err + answer.out
    if "munge" in text.lower():
        return "munge, which authenticates users of Slurm, does not respond", start_service("munge")
    down = _DOWN.search(answer.out)
    if down is not None:
        return f"slurmctld on {down[2]} does not respond", _start_controller()
    if _NO_CONFIGURATION.search(text):
        return (
            "the commands of Slurm are installed, but find no slurm.conf of a cluster",
            "export SLURM_CONF=/path/to/slurm.conf of your cluster",
        )
    return f"scontrol ping fails: {answer.last_line()}", _start_controller()


def _start_controller() -> str:
    if shutil.which("slurmctld", path="/usr/sbin:/usr/local/sbin:/sbin") is not None:
        return f"on the machine of the controller: {start_service('slurmctld')}"
    return "ask the administrator of the cluster; check with scontrol ping"


def _answers(host: str, timeout_s: float) -> Finding:
    """The controller's version, and whether there is a node to run on."""
    end = time.monotonic() + timeout_s
    said = ask(["sinfo", "--version"], timeout_s)
    version = said.out.split()[-1] if said and said.code == 0 and said.out.split() else None
    nodes = ask(["sinfo", "--noheader", "--format", "%D %t"], end - time.monotonic())
    if nodes is None or nodes.code != 0:
        message = f"slurmctld on {host} responds, but reports no nodes"
        return _found("warning", version, message, "see the reason with sinfo")
    usable, every = _count(nodes.out)
    if not usable:
        message = f"slurmctld on {host} responds, but none of its {every} nodes can be used"
        return _found("warning", version, message, "see the reasons with sinfo --list-reasons")
    return _found(
        "ok", version, f"slurmctld on {host} responds; {usable} of {every} nodes up", None
    )


def _count(text: str) -> tuple[int, int]:
    """Count usable nodes and all nodes in lines such as `4 idle` or `1 down*`.

    A star means that the node does not answer.
    """
    usable = every = 0
    for line in text.splitlines():
        number, _, state = line.strip().partition(" ")
        if number.isdecimal():
            every += int(number)
            if state.startswith(_USABLE) and not state.endswith("*"):
                usable += int(number)
    return usable, every
