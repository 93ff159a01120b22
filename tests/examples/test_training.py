"""The order of work: what is at the workers at once, what is counted, and a text too short."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from settings import Settings
from tests.own_process import lazily

tf = lazily("tensorflow")
model = lazily("model")
training = lazily("training")
pytestmark = pytest.mark.imports("tensorflow")

COUNTS = np.array([500, 400, 300, 200, 100], np.int64)
IDS = np.random.default_rng(5).choice(5, 1_500, p=COUNTS / 1_500).astype(np.int32)
WORKERS = 3


@dataclass
class Workers:
    """Do what is scheduled when its result is fetched; `waiting` is how much was, each time.

    `gone`: of every seventh stretch the result is lost after it, on the task of this name.
    """

    waiting: list[int] = field(default_factory=list)
    now: int = 0
    gone: str = ""

    def schedule(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        workers, asked, number = self, (function, args), len(self.waiting)
        self.now += 1
        self.waiting.append(self.now)

        class Value:
            def fetch(self) -> Any:
                workers.now -= 1
                function, args = asked
                figures = function(*args).numpy()
                if workers.gone and number % 7 == 0:
                    raise tf.errors.UnavailableError(None, None, f"remote {workers.gone} is gone")
                return figures

        return Value()


def trained(settings: Settings, workers: Workers) -> Any:
    """A training on 1,500 words that is done."""
    made = model.Model(tf.distribute.get_strategy(), COUNTS, settings, workers=WORKERS)
    run = training.Training(made, workers, IDS, COUNTS)
    run.run(lambda figures: None)
    return run


def test_the_first_stretch_is_alone_then_all_workers_have_one() -> None:
    workers = Workers()
    trained(Settings(dim=4, stretch=96, sample=0), workers)
    assert workers.waiting[:6] == [1, 1, 2, 3, 4, 4]
    assert max(workers.waiting) == WORKERS + 1
    assert workers.now == 0


def test_every_pair_is_counted() -> None:
    run = trained(Settings(dim=4, stretch=96, sample=0, epochs=2), Workers())
    assert run.pairs == 2 * 2 * (len(IDS) - 1)


def test_a_stretch_whose_figures_died_with_its_worker_was_trained() -> None:
    workers = Workers(gone="/job:worker/replica:0/task:1")
    run = trained(Settings(dim=4, stretch=96, sample=0, epochs=2), workers)
    assert run.pairs == 2 * 2 * (len(IDS) - 1)


def test_the_loss_of_a_parameter_server_is_an_error() -> None:
    with pytest.raises(tf.errors.UnavailableError):
        trained(Settings(dim=4, stretch=96, sample=0), Workers(gone="/job:ps/replica:0/task:1"))


def test_a_text_without_remaining_words_is_an_error() -> None:
    with pytest.raises(training.NothingToTrain):
        trained(Settings(dim=4, sample=1e-12), Workers())
