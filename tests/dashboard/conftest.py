"""Runs that nothing runs, for the dashboard's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .fake_runs import FakeRun

MakeRun = Callable[..., FakeRun]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the fake runs of this test are."""
    return (tmp_path / "runs").resolve()


@pytest.fixture
def make_run(place: Path) -> Iterator[MakeRun]:
    """Makes runs in `place`, with the arguments of `FakeRun` after the place; closed at the end."""
    with ExitStack() as made:

        def make(*arguments: Any, **named: Any) -> FakeRun:
            return made.enter_context(FakeRun(place, *arguments, **named))

        yield make


@pytest.fixture
def demo_run(make_run: MakeRun) -> FakeRun:
    """The cluster of the talk, running, with some bytes on every planned edge."""
    run = make_run()
    run.flow()
    return run
