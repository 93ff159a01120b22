"""The isolation of local runs: namespaces for network and processes, or less.

Owns: the words for each answer and what mends a refusal. Leaves to others: trying it
(`launch.isolation`).
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from tenfold.cells.probing.findings import Finding
from tenfold.launch import isolation

_SWITCHES = {
    "kernel/apparmor_restrict_unprivileged_userns": ("1", "0"),
    "kernel/unprivileged_userns_clone": ("0", "1"),
    "user/max_user_namespaces": ("0", "15000"),
}
"""Below /proc/sys: values with which Linux refuses and allows user namespaces."""


def local(proc: Path = Path("/proc")) -> Finding:
    """What isolates the runs of this machine.

    Also why nothing better does, and what would help.

    It forks: call it before any thread is started.
    """
    way = isolation.find("auto")
    if way.level == "namespace":
        return Finding("cell", "local", "ok", None, way.words, None)
    message = (
        f"runs work, but {way.words} ({way.why}); ports can conflict; child processes of a task "
        "survive a simultaneous kill -9 of supervisor and launch server, until tenfold down"
    )
    if way.level == "none":
        message = (
            f"{way.words} ({way.why}): `up` refuses to start tasks that listen, unless you set "
            "`expose: true` in the file or --isolation none"
        )
    hint = _switch(proc / "sys") if sys.platform == "linux" else None
    return Finding("cell", "local", "warning", None, message, hint)


def _switch(settings: Path) -> str:
    """The setting that refuses a namespace, as far as one can be seen."""
    for name, (refuses, allows) in _SWITCHES.items():
        with contextlib.suppress(OSError):
            if (settings / name).read_text().strip() == refuses:
                return f"sudo sysctl -w {name.replace('/', '.')}={allows}"
    return "in a container: run it with --privileged, or with --security-opt seccomp=unconfined"
