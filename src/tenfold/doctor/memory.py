"""Whether the local cell can enforce the file's memory limits for tasks.

Owns the words. Leaves to others: trying it (`tasks.memory`).
"""

from __future__ import annotations

import shutil

from tenfold.cells.probing.findings import Finding
from tenfold.tasks.memory import find_place, refusal

_NAME = "memory limits"


def memory_limits() -> Finding:
    """Whether `resources.memory` is a limit here.

    If not, why, and how to change that.
    """
    refused = refusal(find_place())
    if refused is None:
        message = "resources.memory is enforced: a task that exceeds it is killed alone"
        return Finding("machine", _NAME, "ok", None, message, None)
    message = f"resources.memory is not enforced on the local cell: {refused}"
    systemd = shutil.which("systemd-run") is not None
    hint = "systemd-run --user --scope tenfold up" if systemd else None
    return Finding("machine", _NAME, "warning", None, message, hint or "--on docker has limits")
