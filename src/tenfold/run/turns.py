"""One command at a time starts or removes runs of a cluster.

`tenfold up` chooses an earlier run to resume, links its checkpoint, and starts a supervisor. A
second `up`, `prune` or `rm` in the middle of that would see a run that is neither up nor over, or
take away what is being linked. The locks are files in `.locks`, beside the clusters.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from tenfold.errors import TenfoldError

_WAIT_S = 120.0
_POLL_S = 0.02


class NoTurnError(TenfoldError):
    """Another command starts or removes runs of the cluster, or nobody can know."""


@contextlib.contextmanager
def turn(
    runs: Path, cluster: str, *, wait_s: float = _WAIT_S, needed: bool = False
) -> Iterator[None]:
    """Be the only command that starts or removes runs of `cluster`.

    With `needed`, a file system without locks is an error. Otherwise the command continues without
    a lock. Raises NoTurnError.
    """
    descriptor = _open(runs / ".locks" / cluster)
    try:
        _lock(descriptor, cluster, wait_s, needed)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise NoTurnError(
            f"cannot lock {path.parent}: {error.strerror or error}",
            hint=f"remove {path} if it is not a regular file of yours",
            cause=error,
        ) from error


def _lock(descriptor: int, cluster: str, wait_s: float, needed: bool) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise NoTurnError(
                    f"another command has been starting or removing runs of {cluster}"
                    f" for {wait_s:g} s",
                    hint="retry when it has finished",
                    cause=error,
                ) from error
        except OSError as error:
            if not needed:  # `filesystem.require` says what the directory of runs lacks
                return None
            raise NoTurnError(
                f"cannot lock the runs of {cluster}: {error.strerror}", cause=error
            ) from error
        time.sleep(_POLL_S)
