"""The cell on this machine: does a run get a network and processes of its own.

Owns: the words for either answer and what mends a refusal. Leaves to others: trying it
(`launch.namespace`).
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from tenfold.doctor.findings import Finding
from tenfold.launch import namespace

_SWITCHES = {
    "kernel/apparmor_restrict_unprivileged_userns": ("1", "0"),
    "kernel/unprivileged_userns_clone": ("0", "1"),
    "user/max_user_namespaces": ("0", "15000"),
}
"""Below /proc/sys: the value with which Linux refuses a user namespace, and one with which not."""


def local(proc: Path = Path("/proc")) -> Finding:
    """Whether runs here get namespaces, why not, and what that means.

    It forks: call it before any thread is started.
    """
    refusal = namespace.refusal()
    if refusal is None:
        message = "a run gets a network and processes of its own; nobody outside reaches it"
        return Finding("cell", "local", "ok", None, message, None)
    message = (
        f"runs work, but get no namespace ({refusal}): whoever reaches this machine reaches "
        "TensorFlow's open ports, and ports can be taken"
    )
    hint = _switch(proc / "sys") if sys.platform == "linux" else None
    return Finding("cell", "local", "warning", None, message, hint)


def _switch(settings: Path) -> str:
    """The setting that refuses, as far as one can be seen to."""
    for name, (refuses, allows) in _SWITCHES.items():
        with contextlib.suppress(OSError):
            if (settings / name).read_text().strip() == refuses:
                return f"sudo sysctl -w {name.replace('/', '.')}={allows}"
    return "in a container: run it with --privileged, or with --security-opt seccomp=unconfined"
