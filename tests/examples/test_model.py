"""The table in shards: the right rows are pulled, and the changes go to the right ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import sampling
from settings import Settings
from tests.own_process import lazily

tf = lazily("tensorflow")
model = lazily("model")
skipgram = lazily("skipgram")
training = lazily("training")
pytestmark = pytest.mark.imports("tensorflow")

COUNTS = np.array([500, 400, 300, 200, 100, 50, 40, 30, 20, 10, 9], np.int64)
SETTINGS = Settings(dim=4, window=2, negatives=3, shared=5, batch=8, stretch=16, sample=0)


def _sharded() -> Any:
    """A model whose table lies in three variables of this process, as on three servers."""

    class Sharded(model.Model):  # type: ignore[misc, name-defined] # imported by the test
        sizes = (7, 8, 7)

        def __init__(self) -> None:
            super().__init__(tf.distribute.get_strategy(), COUNTS, SETTINGS, workers=1)
            self.pieces = [tf.Variable(part) for part in tf.split(self.table, self.sizes)]

        @property
        def shards(self) -> list[Any]:
            return self.pieces

    return Sharded()


def _stretch() -> sampling.Stretch:
    ids = np.random.default_rng(3).integers(0, 11, 13).astype(np.int32)
    cutter = sampling.Cutter(length=16, batch=8, window=2, shared=5, pool=40, seed=1)
    return next(cutter.cut(ids, sampling.Negatives(COUNTS), epoch=0))


def test_rows_are_a_permutation_that_spreads_frequent_words() -> None:
    many = np.maximum(100_000 // np.arange(1, 1_001), 1)
    made = model.Model(tf.distribute.get_strategy(), many, Settings(dim=1), workers=1)
    assert sorted(made.row_of.tolist()) == list(range(1_000))
    for frequent in (8, 100, 400):
        homes = np.bincount(made.row_of[:frequent] // 250, minlength=4)
        assert homes.max() - homes.min() <= 3


def test_the_words_get_what_was_made_for_them() -> None:
    sharded = _sharded()
    assert np.allclose(sharded.rows(), model._initial(11, SETTINGS))
    assert sharded.rows().shape == (11, 2, SETTINGS.dim)
    assert np.abs(sharded.embeddings()).max() <= 1 / SETTINGS.dim


def _trained_in_one_place(rows: Any, stretch: sampling.Stretch) -> tuple[Any, float, float]:
    """Rows, loss and pairs of a stretch trained on all rows: float32 [words, 2, dim]."""
    real = stretch.tokens >= 0
    new, loss, pairs = skipgram.train(
        tf.constant(rows.reshape(-1, SETTINGS.dim)),
        tf.constant(np.where(real, 2 * stretch.tokens, -1)[2:-2]),
        tf.constant(np.where(real, 2 * stretch.tokens + 1, -1)),
        tf.constant(stretch.reach),
        tf.constant(2 * stretch.negatives + 1),
        tf.constant(0.05),
        window=2,
        samples=3,
    )
    return new.numpy().reshape(rows.shape), float(loss), float(pairs)


@pytest.mark.parametrize("room", [None, 1])
def test_a_stretch_on_servers_equals_training_in_one_process(
    room: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharded, stretch = _sharded(), _stretch()
    if room:  # for fewer rows than there are
        monkeypatch.setattr(sharded, "_usual", room)
    before = sharded.rows()
    wanted, loss, pairs = _trained_in_one_place(before, stretch)
    function, arguments = sharded.call(stretch, 0.05)
    figures = function(*arguments).numpy()
    assert np.abs(wanted - before).max() > 0.01
    assert np.allclose(sharded.rows(), wanted, atol=1e-4), "but for what float16 rounds"
    assert figures.tolist() == pytest.approx([loss, pairs], rel=1e-3)


class _Alone:
    """A coordinator that does everything at once and by itself."""

    def __init__(self) -> None:
        self.trained = 0

    def schedule(self, function: Any, args: Any) -> Any:
        self.trained += 1
        result = function(*args)
        return type("Done", (), {"fetch": staticmethod(result.numpy)})()

    def join(self) -> None:
        pass


def _ids() -> Any:
    return np.random.default_rng(5).integers(0, 11, 400).astype(np.int32)


def _training(checkpoints: Any, coordinator: _Alone, epochs: int = 2) -> Any:
    settings = Settings(**(vars(SETTINGS) | {"epochs": epochs}))
    made = model.Model(tf.distribute.get_strategy(), COUNTS, settings, workers=1)
    return training.Training(
        made, coordinator, _ids(), COUNTS, checkpoints=checkpoints, save_every_s=0.0
    )


class _Interrupted(Exception):
    pass


def test_an_interrupted_training_ends_like_an_undisturbed_one(tmp_path: Any) -> None:
    whole = _training(None, _Alone())
    told: list[Any] = []
    whole.run(told.append)
    assert [told[-1].words, told[-1].epoch] == [800, 2]
    assert told == sorted(told, key=lambda figures: figures.words)

    def interrupt(figures: Any) -> None:
        if figures.words > 500:
            raise _Interrupted

    begun = _training(tmp_path, _Alone())
    assert not begun.resume()
    with pytest.raises(_Interrupted):
        begun.run(interrupt)
    coordinator = _Alone()
    resumed = _training(tmp_path, coordinator)
    assert resumed.resume()
    assert resumed.position[0] == 1
    assert resumed.position[1] > 0
    resumed.run(lambda _: None)
    assert coordinator.trained < 25
    assert np.allclose(resumed.model.rows(), whole.model.rows(), atol=1e-5)


def test_a_finished_training_resumes_with_more_epochs(tmp_path: Any) -> None:
    _training(tmp_path, _Alone(), epochs=1).run(lambda _: None)
    more = _training(tmp_path, _Alone(), epochs=2)
    assert more.resume()
    assert more.position == (1, 0)
    told: list[Any] = []
    more.run(told.append)
    assert {figures.epoch for figures in told} == {2}


def test_divergence_is_reported_and_not_saved(tmp_path: Any) -> None:
    diverging = _training(tmp_path, _Alone())
    diverging.model.table.assign(diverging.model.table * np.float32("nan"))
    with pytest.raises(training.TrainingDiverged, match="epoch 1"):
        diverging.run(lambda _: None)
    assert not list(tmp_path.iterdir())
