"""What is said of limits of memory, where there are some and where there are none."""

from __future__ import annotations

import pytest

from tenfold.doctor import memory


@pytest.mark.parametrize(
    ("refused", "state", "words"),
    [
        (None, "ok", "is enforced: a task that exceeds it is killed"),
        ("nobody may", "warning", "is not enforced on the local cell: nobody may"),
    ],
)
def test_missing_memory_limits_are_reported(
    refused: str | None, state: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "refusal", lambda _: refused)
    found = memory.memory_limits()
    assert (found.state, words in found.message) == (state, True)
    assert found.usable
    assert (found.hint is None) == (state == "ok")
