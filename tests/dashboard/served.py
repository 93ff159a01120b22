"""The real dashboard in a process of its own, and requests that nothing tidies up on their way."""

from __future__ import annotations

import http.client
import json
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

START_LIMIT_S = 30.0
ANSWER_LIMIT_S = 60.0


@dataclass
class Answer:
    """What came back; of a stream that does not end, what came by the time it was cut."""

    status: int
    headers: Mapping[str, str]
    """By name in small letters."""
    body: bytes

    def json(self) -> Any:
        """The body, which has to be JSON of a good answer."""
        assert self.status == 200, (self.status, self.body[:500])
        return json.loads(self.body)


@dataclass
class Dashboard:
    """A dashboard that serves."""

    port: int
    token: str
    process: subprocess.Popen[str] = field(repr=False)
    cookie: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """Where it is, without the token."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def welcome(self) -> str:
        """The URL that a person is given."""
        return f"{self.url}?token={self.token}"

    def ask(
        self,
        path: str,
        body: object = None,
        *,
        method: str | None = None,
        known: bool = True,
        headers: Mapping[str, str] | None = None,
        most: int | None = None,
    ) -> Answer:
        """One request, its path as it stands; POST if there is a `body`, which goes as JSON.

        At most `most` bytes of the answer are read. `known` tells whether to show the token.
        """
        given = {"Host": f"127.0.0.1:{self.port}", "Connection": "close"} | dict(headers or {})
        if known:
            given.setdefault("Authorization", f"Bearer {self.token}")
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            given |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_LIMIT_S)
        try:
            chosen = method or ("GET" if data is None else "POST")
            connection.putrequest(chosen, f"/{path}", skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                connection.putheader(name, value)
            connection.endheaders(data)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read(most))
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The JSON that a path answers with."""
        return self.ask(path).json()

    def logs(self, run: str, **wanted: Any) -> Any:
        """A page of log lines: what `POST RUN/logs` answers; by default the newest lines of all."""
        body = {"tasks": [], "cursor": None, "direction": "back", "lines": 500} | wanted
        return self.ask(f"api/runs/{run}/logs", body).json()

    def memory_bytes(self) -> int:
        """The most memory that the process has had in use so far (its peak resident set)."""
        words = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB", words, re.MULTILINE)
        assert found
        return int(found[1]) * 1024


@contextmanager
def served(runs: Path) -> Iterator[Dashboard]:
    """A dashboard of the runs in `runs`; at the end it is gone. It may not say a traceback."""
    command = [sys.executable, "-m", "tenfold.dashboard", str(runs)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            board = _welcomed(process)
            board.cookie = _cookie(board)
            yield board
        finally:
            process.terminate()
            try:
                _, said = process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert "Traceback" not in said, said


def _welcomed(process: subprocess.Popen[str]) -> Dashboard:
    """Read on its first line where it serves."""
    assert process.stdout
    deadline = time.monotonic() + START_LIMIT_S
    line = ""
    while time.monotonic() < deadline and "token=" not in line and process.poll() is None:
        if select.select([process.stdout], [], [], 0.1)[0]:
            line = process.stdout.readline()
    found = re.search(r"http://\S+", line)
    assert found, f"the dashboard does not tell where it is: {line}"
    parts = urlsplit(found[0])
    assert parts.port
    return Dashboard(parts.port, parse_qs(parts.query)["token"][0], process)


def _cookie(board: Dashboard) -> str:
    answer = board.ask(f"?token={board.token}", known=False)
    assert answer.status == 200, answer
    return answer.headers["set-cookie"].partition(";")[0]
