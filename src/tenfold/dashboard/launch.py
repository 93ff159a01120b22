"""Find the dashboard of a runs directory, or start it.

There is one process, however many ask for it.

    <runs>/.dashboard/   lock   held while it lives; whoever starts it hands the lock over
                         state.json   {version, tenfold, pid, port}; pid null while it comes or goes
                         token   the secret of its page, mode 0600
                         log   what it had to say; empty when all is well

Port and token stay as they were, so that an open page goes on with the next process. The starter
binds the port, so that the address is known, and a browser can wait there, before anything is
imported. Nothing heavy is imported here: `tenfold up` waits for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import os
import secrets
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tenfold import __version__
from tenfold.base.interpreter import own
from tenfold.errors import InputError, TenfoldError
from tenfold.run import files
from tenfold.run.jsonfiles import JsonFile
from tenfold.run.locks import signal_holders
from tenfold.run.rundir import RunDirectory

USUAL_PORTS = range(10110, 10120)
"""Ports tried first if there was no dashboard before. Then any free port."""

_WAIT_S = 5.0
_POLL_S = 0.02
_TOKEN_LENGTH = 20


@dataclass(frozen=True, slots=True)
class DashboardState(JsonFile):
    """`state.json`: the process that serves the page, and its port."""

    version: int = 1
    tenfold: str | None = None
    pid: int | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class DashboardDirectory:
    """The directory of a dashboard's own files, for one runs directory."""

    runs: Path

    @property
    def directory(self) -> Path:
        """`.dashboard`, which is not a cluster."""
        return self.runs / ".dashboard"

    @property
    def lock(self) -> Path:
        """Locked while the dashboard lives."""
        return self.directory / "lock"

    @property
    def state(self) -> Path:
        """The file with the process's id and port."""
        return self.directory / "state.json"

    @property
    def token(self) -> Path:
        """The file with the secret of the page."""
        return self.directory / "token"

    @property
    def log(self) -> Path:
        """The log of the process. Empty if all is well."""
        return self.directory / "log"

    def tell(self, pid: int | None, port: int) -> None:
        """Write the state. None for a process that is about to start or to end."""
        DashboardState(tenfold=__version__, pid=pid, port=port).write(self.state)


@dataclass(frozen=True, slots=True)
class Running:
    """A dashboard that is running."""

    runs: Path
    pid: int
    port: int
    token: str

    def url(self, run: RunDirectory | None = None) -> str:
        """Its URL, token included. With a run, the page of that run."""
        at = f"#/{quote(run.cluster)}/{quote(run.run)}" if run else ""
        return f"http://127.0.0.1:{self.port}/?token={self.token}{at}"


@dataclass(slots=True)
class Claim:
    """The right to be the dashboard of a runs directory.

    It has the lock, and a port that is bound already.
    """

    place: DashboardDirectory
    lock: int
    listener: socket.socket
    token: str

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self.listener.getsockname()[1])

    def running(self, pid: int) -> Running:
        """What others find once this process serves."""
        return Running(self.place.runs, pid, self.port, self.token)

    def close(self) -> None:
        """Give up the claim, or leave it to a process that has inherited it."""
        self.listener.close()
        os.close(self.lock)


def running(runs: Path) -> Running | None:
    """The dashboard of `runs`, if one of this version of tenfold is running."""
    place = DashboardDirectory(runs)
    lock = _try_lock(place)
    if lock is not None:
        os.close(lock)
        return None
    found, ours = _found(place)
    return found if ours else None


def start(runs: Path) -> Running:
    """Find the dashboard of `runs`, or start a new process.

    A new process ends by itself.

    Returns at once: the new process answers when it has come up. Raises TenfoldError, or OSError,
    where there can be none.
    """
    claimed = claim(runs)
    if isinstance(claimed, Running):
        return claimed
    try:
        pid = _spawn(claimed)
        claimed.place.tell(pid, claimed.port)
        return claimed.running(pid)
    finally:
        claimed.close()


def claim(runs: Path, port: int | None = None) -> Claim | Running:
    """Claim the right to serve `runs`, or find the dashboard that has it.

    The port is `port` if it is given.

    One of another version is told to end first. Raises InputError if the port is taken or the
    place cannot be written, TenfoldError if another one neither serves nor ends.
    """
    place = DashboardDirectory(runs)
    try:
        place.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = _lock_or_running(place)
        if isinstance(taken, Running):
            return taken
        return _claimed(place, taken, port)
    except OSError as error:
        raise InputError(
            f"the dashboard cannot keep its files in {place.directory}: {error.strerror or error}",
            hint="--runs DIR names another place for runs",
            cause=error,
        ) from error


def _claimed(place: DashboardDirectory, lock: int, port: int | None) -> Claim:
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, lock)
        token = _token(place)
        before = DashboardState.read(place.state) or DashboardState()
        listener = _bind(port, before.port)
        undo.callback(listener.close)
        made = Claim(place, lock, listener, token)
        place.tell(None, made.port)
        undo.pop_all()
        return made


def _lock_or_running(place: DashboardDirectory) -> int | Running:
    deadline = time.monotonic() + _WAIT_S
    told = False
    while True:
        lock = _try_lock(place)
        if lock is not None:
            return lock
        found, ours = _found(place)
        if found is not None and ours:
            return found
        if found is not None and not told:
            told = True
            signal_holders(place.lock, signal.SIGTERM)
        if time.monotonic() > deadline:
            raise TenfoldError(
                f"another dashboard of {place.runs} neither serves nor ends",
                hint=f"{place.log} may say why",
            )
        time.sleep(_POLL_S)


def _found(place: DashboardDirectory) -> tuple[Running | None, bool]:
    """The process that holds the lock, and whether it is of this version.

    The process is None if it has not written its state.
    """
    said = DashboardState.read(place.state) or DashboardState()
    pid, port = said.pid, said.port
    if pid is None or port is None or not _lives(pid):
        return None, False
    token = _read_token(place)
    found = None if token is None else Running(place.runs, pid, port, token)
    return found, said.tenfold == __version__


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return pid > 1


def _try_lock(place: DashboardDirectory) -> int | None:
    """The lock, if it is free.

    Raises OSError if there can be no lock for a reason other than a missing directory.
    """
    try:
        descriptor, _ = files.open_own(place.lock, os.O_RDWR)
    except FileNotFoundError:
        if place.directory.exists():
            raise
        return os.open(os.devnull, os.O_RDONLY)  # nobody can have it
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _bind(wanted: int | None, before: int | None) -> socket.socket:
    """A socket that listens on loopback.

    The port is `wanted`, otherwise the one it had before, or a usual port.
    """
    ports = [wanted] if wanted is not None else [*([before] if before else []), *USUAL_PORTS, 0]
    for port in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(128)
        except (OSError, OverflowError) as error:
            listener.close()
            if wanted is not None:
                raise InputError(f"port {wanted} cannot be had: {error}", cause=error) from error
            continue
        return listener
    raise TenfoldError("there is no free port on 127.0.0.1")


def _token(place: DashboardDirectory) -> str:
    """The dashboard's token, created if there is none.

    For the holder of the lock.
    """
    found = _read_token(place)
    if found is not None:
        return found
    made = secrets.token_urlsafe(24)
    files.write_whole(place.token, made.encode())
    return made


def _read_token(place: DashboardDirectory) -> str | None:
    """The token, if it is valid and nobody else can read it."""
    try:
        with files.open_regular(place.token) as stream:
            mode = os.fstat(stream.fileno()).st_mode
            text = stream.read(1000).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    good = len(text) >= _TOKEN_LENGTH and text.replace("-", "").replace("_", "").isalnum()
    return text if good and not mode & 0o077 else None


def _spawn(claimed: Claim) -> int:
    """Start the process in its own session. It inherits only the claim."""
    handed = (claimed.lock, claimed.listener.fileno())
    for descriptor in handed:
        os.set_inheritable(descriptor, True)
    runs, log = str(claimed.place.runs), str(claimed.place.log)
    numbers = [str(descriptor) for descriptor in handed]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    return os.posix_spawn(
        sys.executable,
        own("tenfold.dashboard", runs, *numbers),
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        **({"setsid": True} if sys.platform == "linux" else {"setpgroup": 0}),
    )


def tunnel(port: int) -> str:
    """The command to type on another machine to open the page there."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "USER"
    connection = os.environ.get("SSH_CONNECTION", "").split()
    host = connection[2] if len(connection) == 4 else socket.gethostname()
    return f"ssh -N -L {port}:127.0.0.1:{port} {user}@{host}"
