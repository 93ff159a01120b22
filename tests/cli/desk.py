"""Typing commands: `tenfold` as a process, in pipes or on a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
Env = Mapping[str, str]
_START = "import sys; from tenfold.cli import main; main()"


@dataclass
class Typed:
    """A command on a terminal of its own: what it shows, and keys for it."""

    process: subprocess.Popen[bytes]
    _master: int
    raw: bytes = b""

    def see(self, pattern: str, timeout_s: float = 40) -> str:
        """Wait until `pattern` is on the screen; gives everything shown so far, unstyled."""
        deadline = time.monotonic() + timeout_s
        while not re.search(pattern, self.text, re.S):
            assert time.monotonic() < deadline, f"{pattern!r} is not in:\n{self.text}"
            if select.select([self._master], [], [], 0.1)[0]:
                data = self._read()
                assert data or re.search(pattern, self.text, re.S), self.text
        return self.text

    def _read(self) -> bytes:
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # the other side is closed
            data = b""
        self.raw += data
        return data

    @property
    def text(self) -> str:
        """What was shown, without colours and motions."""
        return _ESCAPES.sub(b"", self.raw).decode(errors="replace").replace("\r\n", "\n")

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._master, keys.encode())

    def end(self, timeout_s: float = 40) -> int:
        """Read to the end; gives the exit code."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if select.select([self._master], [], [], 0.1)[0] and not self._read():
                break
        else:
            raise AssertionError(f"it does not end:\n{self.text}")
        return self.process.wait(timeout_s)


@dataclass
class Desk:
    """A directory with cluster files, and a shell of sorts."""

    directory: Path
    runs: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, text: str, name: str = "tenfold.yaml") -> None:
        """Put a file there."""
        (self.directory / name).write_text(text)

    def env(self, more: Env | None = None) -> dict[str, str]:
        """The environment of a command."""
        quiet = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"}
        mine = {
            name: value
            for name, value in os.environ.items()
            if name not in quiet and not name.startswith("TENFOLD_")
        }
        mine |= {"TENFOLD_RUNS": str(self.runs), "TENFOLD_DASHBOARD": "no", "TERM": "xterm"}
        mine |= {"XDG_CONFIG_HOME": str(self.directory / "config")}
        return mine | self.environment | dict(more or {})

    def tenfold(
        self, *words: str, timeout_s: float = 60, stdin: str = "", env: Env | None = None
    ) -> Answer:
        """Run a command to its end, in pipes."""
        ended = subprocess.run(
            [sys.executable, "-c", _START, *words],
            cwd=self.directory,
            env=self.env(env),
            input=stdin.encode(),
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        return Answer(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command in pipes."""
        return subprocess.Popen(
            [sys.executable, "-c", _START, *words],
            cwd=self.directory,
            env=self.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    @contextmanager
    def type(self, *words: str, columns: int = 110, env: Env | None = None) -> Iterator[Typed]:
        """Start a command on a terminal; it is killed at the end if it still runs."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *words],
            cwd=self.directory,
            env=self.env(env),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        try:
            yield Typed(process, master)
        finally:
            process.kill()
            process.wait()
            os.close(master)


_TAKE_TERMINAL = f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); {_START}"


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str
