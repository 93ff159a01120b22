"""Exit codes and signals in words."""

from __future__ import annotations

import pytest

from tenfold.views.endings import meaning, signal_number


@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        (2, None, "bad input"),
        (126, None, "cannot be executed"),
        (127, None, "was not found"),
        (130, None, "the exit code of a shell for SIGINT: it was interrupted"),
        (137, None, "the exit code of a shell for SIGKILL: killed by a user"),
        (139, None, "the exit code of a shell for SIGSEGV: a crash in native code"),
        (143, None, "the exit code of a shell for SIGTERM: it was asked to end"),
        (None, "SIGKILL", "killed by a user"),
        (None, "SIGSEGV", "a crash in native code"),
        (None, "SIGBUS", "/dev/shm"),
        (None, "SIGILL", "the CPU does not support an instruction"),
    ],
)
def test_exit_codes_and_signals_are_explained(
    code: int | None, name: str | None, words: str
) -> None:
    found = meaning(code, name)
    assert found is not None
    assert words in found.words


@pytest.mark.parametrize(
    ("code", "name"),
    [(0, None), (1, None), (3, None), (200, None), (255, None), (None, None), (None, "SIGCHLD"),
     (None, "signal 64"), (None, "nonsense"), (None, 9)],
)  # fmt: skip
def test_plain_exit_codes_have_no_explanation(code: int | None, name: object) -> None:
    assert meaning(code, name) is None


@pytest.mark.parametrize(
    ("name", "number"), [("SIGKILL", 9), ("signal 64", 64), ("SIG_DFL", 0), ("", None), (9, None)]
)
def test_numbers_of_signals(name: object, number: int | None) -> None:
    assert signal_number(name) == number
