"""A case: what makes it fail, its limit, its seed, and that nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos import leftovers
from chaos.ground import wait
from chaos.leftovers import MARK
from chaos.trial import Case, Row, Trial, attempt


def tried(run: Callable[[Trial], None], *, seed: int = 1, limit_s: float = 20.0) -> Row:
    """A case with this body, tried in its short form."""
    return attempt(Case("trial", "a fault", run, 600, limit_s), seed, quick=True)


def test_a_case_holds_if_all_its_checks_do() -> None:
    def well(trial: Trial) -> None:
        trial.equal("exits", 3, 3)
        trial.most("took", 2.0, 5.0, "s")

    row = tried(well)
    assert row["ok"]
    asked = [(one["asked"], one["timed"]) for one in row["checks"]]
    assert asked[:2] == [("exits", False), ("took: at most 5.00 s", True)]


@pytest.mark.parametrize(
    "body",
    [
        lambda trial: trial.equal("exits", 2, 3),
        lambda trial: trial.most("took", 5.1, 5.0, "s"),
        lambda trial: wait(lambda: False, 0.1, "the end of the world"),
        lambda trial: 1 / 0,
    ],
    ids=["another value", "too much", "waited in vain", "raised"],
)
def test_a_case_fails_if_anything_does(body: Callable[[Trial], None]) -> None:
    assert tried(body)["ok"] is False


def test_a_case_over_its_time_limit_is_interrupted_even_if_it_catches_everything() -> None:
    def slow(_trial: Trial) -> None:
        while True:
            with contextlib.suppress(Exception):
                time.sleep(60)

    begun = time.monotonic()
    row = tried(slow, limit_s=0.5)
    assert row["ok"] is False
    assert row["error"] == "not done within 0.5 s"
    assert time.monotonic() - begun < 30


def test_a_previous_timer_continues_afterwards() -> None:
    before = signal.setitimer(signal.ITIMER_REAL, 100)
    try:
        tried(lambda trial: None)
        assert 50 < signal.getitimer(signal.ITIMER_REAL)[0] < 100
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)


def test_a_case_with_a_missing_requirement_is_omitted_and_no_failure() -> None:
    row = attempt(
        Case("trial", "a fault", lambda _: None, 9, needs=lambda: "it needs a moon"), 1, quick=True
    )
    assert (row["ok"], row["left_out"]) == (None, "it needs a moon")


def test_the_seed_and_the_case_decide_victims_and_moments(tmp_path: Path) -> None:
    def drawn(name: str, seed: int) -> list[float]:
        rng = Trial(name, tmp_path, seed).rng
        return [rng.random() for _ in range(5)]

    assert drawn("one", 1) == drawn("one", 1)
    assert drawn("one", 1) != drawn("one", 2)
    assert drawn("one", 1) != drawn("other", 1)


def test_a_process_that_is_left_fails_the_case_and_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    homes: list[Path] = []

    def leaving(trial: Trial) -> None:
        environment = os.environ | {MARK: str(trial.home)}
        shell = subprocess.Popen(
            ["sh", "-c", "setsid sleep 600 & echo $!"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        with shell:
            assert shell.stdout is not None
            shell.stdout.readline()
            homes.append(trial.home)

    monkeypatch.setattr(leftovers, "GRACE_S", 0.2)
    row = tried(leaving)
    assert row["ok"] is False
    assert row["checks"][-1]["measured"] == "1, not 0"
    assert not leftovers.found(homes[0])


def test_nothing_a_case_wrote_is_left() -> None:
    homes: list[Path] = []

    def writing(trial: Trial) -> None:
        homes.append(trial.home)
        (trial.home / "much").write_text("text")

    tried(writing)
    assert not homes[0].exists()
