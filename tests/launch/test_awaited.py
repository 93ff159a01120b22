"""The line that makes a task ready, in whatever pieces it comes."""

from __future__ import annotations

import pytest

from tenfold.launch.awaited import AwaitedLine


@pytest.mark.parametrize(
    ("pattern", "pieces"),
    [
        ("serving now", [b"serving ", b"now\n"]),
        ("^serving 1$", [b"one\nserving 1\ntwo\n"]),
        ("ready>", [b"not yet\nready> "]),
        ("^b", [b"a", b"a\n", b"b"]),
    ],
)
def test_found(pattern: str, pieces: list[bytes]) -> None:
    awaited = AwaitedLine(pattern)
    assert [awaited.is_in("stdout", piece) for piece in pieces][-1]


def test_streams_are_apart() -> None:
    awaited = AwaitedLine("serving now")
    assert not awaited.is_in("stdout", b"serving ")
    assert not awaited.is_in("stderr", b"now\n")
    assert awaited.is_in("stdout", b"now\n")


def test_an_endless_line_is_not_kept() -> None:
    awaited = AwaitedLine("end$")
    for _ in range(100):
        assert not awaited.is_in("stdout", b"x" * 65_536)
    assert awaited.is_in("stdout", b"the end")
