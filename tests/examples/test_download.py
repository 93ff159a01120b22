"""Downloads that break off, servers that ignore ranges or send something else."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import download

BODY = bytes(range(256)) * 4096  # 1 MiB

Answer = Callable[["_Handler", int], None]


class _Server(http.server.ThreadingHTTPServer):
    """Answers requests by the test's script; the last answer is used from then on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Answer] = [whole]
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        script = self.server.script
        (script.pop(0) if len(script) > 1 else script[0])(self, start)
        self.close_connection = True

    def head(self, status: int, length: int | None, start: int = 0) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def whole(handler: _Handler, start: int) -> None:
    """A server as it should be."""
    handler.head(206 if start else 200, len(BODY) - start, start)
    handler.wfile.write(BODY[start:])


def breaks(handler: _Handler, start: int) -> None:
    """Promises everything, sends 300,000 bytes."""
    handler.head(206 if start else 200, len(BODY) - start, start)
    handler.wfile.write(BODY[start : start + 300_000])


def no_ranges(handler: _Handler, _: int) -> None:
    """Always sends everything."""
    handler.head(200, len(BODY))
    handler.wfile.write(BODY)


def shorter(handler: _Handler, _: int) -> None:
    """Another, smaller file."""
    handler.head(200, 1000)
    handler.wfile.write(BODY[:1000])


def longer(handler: _Handler, _: int) -> None:
    """Too many bytes, their number not told."""
    handler.head(200, None)
    handler.wfile.write(BODY + b"more")


def nothing(handler: _Handler, start: int) -> None:
    """Closes the connection without an answer."""


def status(code: int) -> Answer:
    def answer(handler: _Handler, _: int) -> None:
        handler.head(code, 0)

    return answer


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def fetch(server: _Server, target: Path, attempts: int = 3) -> None:
    download.fetch(server.url, target, size=len(BODY), attempts=attempts, pause_s=0.01, timeout_s=5)


def test_a_complete_download_reports_progress(server: _Server, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    download.fetch(
        server.url,
        tmp_path / "file",
        size=len(BODY),
        report=lambda done, total: told.append((done, total)),
    )
    assert (tmp_path / "file").read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert told == sorted(told)


def test_nothing_is_fetched_twice(server: _Server, tmp_path: Path) -> None:
    fetch(server, tmp_path / "file")
    fetch(server, tmp_path / "file")
    assert len(server.asked) == 1


def test_an_interrupted_download_resumes(server: _Server, tmp_path: Path) -> None:
    server.script = [breaks, breaks, nothing, whole]
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert server.asked == [None, "bytes=300000-", "bytes=600000-", "bytes=600000-"]
    assert not (tmp_path / "file.part").exists()


def test_starts_over_where_ranges_are_ignored(server: _Server, tmp_path: Path) -> None:
    server.script = [breaks, no_ranges]
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


def test_another_process_resumes_a_partial_download(server: _Server, tmp_path: Path) -> None:
    server.script = [breaks, nothing]
    with pytest.raises(download.DownloadFailed, match=r"300,000 of 1,048,576 bytes are kept"):
        fetch(server, tmp_path / "file")
    assert not (tmp_path / "file").exists()
    server.script = [whole]
    fetch(server, tmp_path / "file")
    assert server.asked[-1] == "bytes=300000-"
    assert (tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize("answer", [shorter, longer, status(404), status(403)])
def test_never_takes_another_file(server: _Server, tmp_path: Path, answer: Answer) -> None:
    server.script = [answer]
    with pytest.raises(download.DownloadFailed):
        fetch(server, tmp_path / "file")
    assert not (tmp_path / "file").exists()
    assert len(server.asked) == 1, "asking again would not help"


def test_server_errors_are_tried_again(server: _Server, tmp_path: Path) -> None:
    server.script = [status(503), status(500), whole]
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize("leftover", [len(BODY) + 5, 17])
def test_a_part_that_does_not_fit_is_dropped(
    server: _Server, tmp_path: Path, leftover: int
) -> None:
    (tmp_path / "file.part").write_bytes(b"\0" * leftover)
    server.script = [status(416), whole] if leftover < len(BODY) else [whole]
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_wrong_downloaded_file_is_replaced(server: _Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"half")
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_download_fails_when_no_server_responds(tmp_path: Path) -> None:
    with pytest.raises(download.DownloadFailed, match="refused"):
        download.fetch("http://127.0.0.1:9/", tmp_path / "file", size=1, attempts=2, pause_s=0.01)


def test_two_at_once(server: _Server, tmp_path: Path) -> None:
    threads = [threading.Thread(target=fetch, args=(server, tmp_path / "file")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "file").read_bytes() == BODY
    assert len(server.asked) == 1
