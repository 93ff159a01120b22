"""Filters at the end of a pipe (`python train.py | tee log`) at shutdown.

SIGTERM to the whole group ends a filter at once. A training that then prints while it saves gets a
broken pipe, and may lose what it saves. So a filter is left until the others of its group have
ended: it then ends by itself, at the end of its input, and is told to if it does not.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from tenfold.base import procfs
from tenfold.launch.signals import group_members, signal_group

_NAMES = frozenset(
    {"cat", "tee", "ts", "pv", "tr", "cut", "sed", "grep", "egrep", "fgrep", "awk", "gawk", "mawk"}
    | {"head", "tail", "sort", "uniq", "column", "less", "more", "logger", "rotatelogs", "multilog"}
    | {"svlogd", "systemd-cat", "stdbuf", "unbuffer", "tai64n", "cronolog"}
)
"""Programs that read their input to its end and store nothing themselves."""


class Filters:
    """The filters of one process group, from the SIGTERM they were spared on."""

    def __init__(self, group: int) -> None:
        self._group = group
        self._spared: set[int] = set()
        self._alone = False

    def end_group(self) -> None:
        """Send SIGTERM to the group except its filters."""
        found = any(_is_filter(pid) for pid in _below(self._group))
        members = group_members(self._group) if found else []
        if not members:
            signal_group(self._group, signal.SIGTERM)
            return
        self._spared = {pid for pid in members if _is_filter(pid)}
        for pid in members:
            if pid not in self._spared:
                _tell(pid)

    def look(self) -> None:
        """End filters that are the only processes left. Call this repeatedly."""
        if not self._spared:
            return
        if set(group_members(self._group)) - self._spared:
            self._alone = False
        elif self._alone:
            for pid in self._spared & set(group_members(self._group)):
                _tell(pid)
            self._spared.clear()
        else:
            self._alone = True


def _tell(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)


def _is_filter(pid: int) -> bool:
    """Whether a process is a filter that reads a pipe."""
    stat = procfs.read_stat(pid)
    if stat is None or stat.comm not in _NAMES:
        return False
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/fd/0").startswith("pipe:")
    return False


def _below(group: int) -> Iterator[int]:
    """The children of the group's leader, and theirs.

    If the leader is gone, these are all processes of the group.
    """
    waiting = procfs.read_children(group)
    if waiting is None:
        yield from group_members(group)
        return
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += procfs.read_children(pid) or ()
