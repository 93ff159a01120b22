"""The line that makes a task ready, in whatever pieces it comes."""

from __future__ import annotations

import pytest

from tenfold.errors import InputError
from tenfold.tasks.awaited import AwaitedLine


@pytest.mark.parametrize(
    ("pattern", "pieces"),
    [
        ("serving now", [b"serving ", b"now\n"]),
        ("^serving 1$", [b"one\nserving 1\ntwo\n"]),
        ("ready>", [b"not yet\nready> "]),
        ("^b", [b"a", b"a\n", b"b"]),
        ("^ready$", [b"\x1b[32mready\x1b[0m\n"]),
        ("^ready$", [b"\x1b[1;3", b"2mrea", b"dy\x1b[", b"0m\n"]),
        ("^ready$", [b"\x1b]0;title\x07ready\n"]),
        ("^ready$", [b"ready\r", b"\n"]),
        ("^ready$", [b" 10%\r 90%\rready\n"]),
        ("^ready$", [b" 10%\r", b" 90%\r", b"ready"]),
        ("^ready$", [b"ready\r 10%\n"]),
        ("^.ready$", [b"\xffready\n"]),
        ("^gr\u00fcn$", ["gr\u00fcn".encode()[:3], "gr\u00fcn".encode()[3:]]),
        ("end$", [b"x" * 200_000, b"x" * 200_000 + b"the en", b"d"]),
        ("^x+ends$", [*[b"x" * 10_000] * 5, b"ends\n"]),
    ],
)
def test_an_awaited_line_is_found_across_pieces(pattern: str, pieces: list[bytes]) -> None:
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


def test_the_middle_of_a_long_line_is_not_its_beginning() -> None:
    awaited = AwaitedLine("^ready")
    assert not awaited.is_in("stdout", b"x" * 4096)
    assert not awaited.is_in("stdout", b"x" * 4096)
    assert not awaited.is_in("stdout", b"ready")
    assert not awaited.is_in("stdout", b" ready\n")


def test_an_expression_that_would_take_for_ever_ends() -> None:
    awaited = AwaitedLine("(a+)+$")
    assert not awaited.is_in("stdout", b"a" * 60 + b"!\n")


def test_an_invalid_expression_is_refused_with_a_message() -> None:
    with pytest.raises(InputError, match="lookaround"):
        AwaitedLine("(?=ready)")
