"""Fetch one large file over HTTP: resumed where it broke off, whole or not there at all.

The bytes go to ``TARGET.part`` and become ``TARGET`` by a rename, only when their number is right.
A download that is interrupted, by the server or by the user, goes on from there the next time.

Owns: the transfer. Leaves to others: which file, and what is in it (corpus.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

_BLOCK = 1 << 18

Report = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all)."""


class DownloadFailed(Exception):
    """The file did not arrive. What did arrive is kept if it can be gone on with."""


class _Broken(Exception):
    """This attempt ended early; another one may go on."""


def fetch(
    url: str,
    target: Path,
    *,
    size: int,
    report: Report | None = None,
    attempts: int = 5,
    pause_s: float = 1.0,
    timeout_s: float = 30.0,
) -> None:
    """Have ``target`` hold the ``size`` bytes of ``url``; does nothing if it does already.

    Gives up after ``attempts`` attempts in a row that brought nothing, with pauses that double.
    Raises DownloadFailed; ``target`` is then as it was before. Two processes that fetch the same
    file do it one after the other.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with _alone(target):
        if target.exists() and target.stat().st_size == size:
            return
        _complete(url, part, size, report, attempts, pause_s, timeout_s)
        part.replace(target)


def _complete(
    url: str,
    part: Path,
    size: int,
    report: Report | None,
    attempts: int,
    pause_s: float,
    timeout_s: float,
) -> None:
    failures = 0
    while (before := _length(part)) != size:
        try:
            _attempt(url, part, size, report, timeout_s)
        except _Broken as broken:
            failures = 1 if _length(part) > before else failures + 1
            if failures >= attempts:
                raise DownloadFailed(
                    f"{url} broke off {failures} times: {broken}; "
                    f"{_length(part):,} of {size:,} bytes are kept in {part}"
                ) from broken
            time.sleep(pause_s * 2 ** (failures - 1))


def _attempt(url: str, part: Path, size: int, report: Report | None, timeout_s: float) -> None:
    """Fetch what is missing. Returns with the right number of bytes, or raises."""
    have = _length(part)
    if have > size:
        part.unlink()
        have = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            start = _start(answer, have)
            _check_size(url, answer, start, size)
            with part.open("r+b" if start else "wb") as file:
                file.truncate(start)
                file.seek(start)
                _copy(answer, file, start, size, report)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink(missing_ok=True)
        elif error.code < 500:
            raise DownloadFailed(f"{url}: {error.code} {error.reason}") from error
        raise _Broken(f"{error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(_reason(error)) from error


def _start(answer: http.client.HTTPResponse, have: int) -> int:
    """The position of the first byte that comes: 0 from a server that ignores ranges."""
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    place = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if place is None or int(place[1]) > have:
        raise _Broken("the server sent another range than the one asked for")
    return int(place[1])


def _check_size(url: str, answer: http.client.HTTPResponse, start: int, size: int) -> None:
    told = answer.headers.get("Content-Length", "")
    if told.isdigit() and start + int(told) != size:
        raise DownloadFailed(
            f"{url} has {start + int(told):,} bytes, not {size:,}: it is not the file expected"
        )


def _copy(
    answer: http.client.HTTPResponse, file: IO[bytes], start: int, size: int, report: Report | None
) -> None:
    done = start
    while block := answer.read(_BLOCK):
        done += len(block)
        if done > size:
            raise DownloadFailed(f"more than {size:,} bytes came: it is not the file expected")
        file.write(block)
        if report:
            report(done, size)
    file.flush()
    os.fsync(file.fileno())
    if done < size:
        raise _Broken(f"the connection closed after {done:,} of {size:,} bytes")


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    with target.with_name(target.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", error)) or type(error).__name__
