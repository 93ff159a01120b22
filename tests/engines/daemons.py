"""A daemon that a fixture starts: its own log, a bounded wait, and certainly ended.

However the tests end, by `kill -9` too, the kernel tells the daemon (PR_SET_PDEATHSIG). Directories
that such an end leaves are removed by the next session: see `new_directory`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path


class Daemon:
    """A process in a session of its own.

    `stop` is also called when the interpreter ends; when the interpreter is killed, the daemon gets
    the signal `orphaned`.
    """

    def __init__(
        self, command: Sequence[str], log: Path, orphaned: signal.Signals = signal.SIGKILL
    ) -> None:
        self.log = log
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", orphaned.name.removeprefix("SIG"), *command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        atexit.register(self.stop, 5.0)

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, grace_s: float = 20.0, number: signal.Signals = signal.SIGTERM) -> None:
        """Signal it, wait up to `grace_s`, then kill it and its process group. Idempotent."""
        atexit.unregister(self.stop)
        if self.alive():
            self.process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(grace_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def said(self) -> str:
        """The end of its log, for messages."""
        return self.log.read_text(errors="replace")[-2000:]


def new_directory(purpose: str) -> Path:
    """An empty directory of this process; those of processes that are gone are removed first."""
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"tenfold-{purpose}-*-*"):
        owner = left.name.split("-")[-2]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"tenfold-{purpose}-{os.getpid()}-", dir=place))


def answers(
    question: Callable[[], object], timeout_s: float, daemons: Sequence[Daemon] = ()
) -> bool:
    """Whether `question` became true within `timeout_s`, while all `daemons` lived."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if question():
            return True
        if not all(daemon.alive() for daemon in daemons):
            return False
        time.sleep(0.1)
    return False
