"""The arithmetic, against word2vec's own sums written out pair by pair."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    tf: Any = pytest.importorskip("tensorflow")
    import skipgram
    import together

DIM = 6
RATE = 0.05


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def _pair_by_pair(
    rows: Any, nearby: Any, reach: Any, negatives: Any, window: int, samples: int
) -> tuple[Any, float, int]:
    """The sum of all pairs' gradients, taken at the batch's start; the loss; the pairs."""
    move = np.zeros_like(rows)
    loss, pairs = 0.0, 0
    for place, far in enumerate(reach, start=window):
        for other in range(place - window, place + window + 1):
            word, context = nearby[place], nearby[other]
            if other == place or abs(other - place) > far or min(word, context) < 0:
                continue
            pairs += 1
            targets = [(context, 1.0, 1.0)]
            share = samples / len(negatives)
            targets += [(n, 0.0, share) for n in negatives if n != context]
            for target, label, weight in targets:
                score = float(rows[word, :DIM] @ rows[target, DIM:])
                pull = weight * RATE * (label - _sigmoid(score))
                move[word, :DIM] += pull * rows[target, DIM:]
                move[target, DIM:] += pull * rows[word, :DIM]
                loss += weight * float(np.logaddexp(0, -score if label else score))
    return rows + move, loss, pairs


@pytest.mark.parametrize("window", [1, 2, 4])
@pytest.mark.parametrize("samples", [3, 8])
def test_a_batch_is_the_sum_of_its_pairs(window: int, samples: int) -> None:
    rng = np.random.default_rng(window)
    rows = rng.normal(size=(9, 2 * DIM)).astype(np.float32)
    nearby = rng.integers(0, 9, 10 + 2 * window).astype(np.int32)
    nearby[:window] = -1
    nearby[-window - 2 :] = -1
    reach = rng.integers(1, window + 1, 10).astype(np.int32)
    negatives = rng.integers(0, 9, 8).astype(np.int32)
    wanted, loss, pairs = _pair_by_pair(rows, nearby, reach, negatives, window, samples)
    got = skipgram.train_batch(
        tf.constant(rows),
        tf.constant(nearby),
        tf.constant(reach),
        tf.constant(negatives),
        tf.constant(RATE),
        window=window,
        samples=samples,
    )
    assert np.allclose(got[0], wanted, atol=1e-5)
    assert float(got[1]) == pytest.approx(loss, rel=1e-4)
    assert float(got[2]) == pairs


@pytest.mark.parametrize("compiled", [False, True])
def test_batches_follow_each_other(compiled: bool) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(20, 2 * DIM)).astype(np.float32)
    tokens = rng.integers(0, 20, 12 + 2).astype(np.int32)
    reach = np.ones(12, np.int32)
    negatives = rng.integers(0, 20, (3, 5)).astype(np.int32)
    wanted, loss = rows, 0.0
    for batch in range(3):
        wanted, more, _ = _pair_by_pair(
            wanted, tokens[4 * batch : 4 * batch + 6], reach[:4], negatives[batch], 1, 5
        )
        loss += more
    train = tf.function(
        lambda r, t, far, n: skipgram.train(r, t, far, n, tf.constant(RATE), window=1, samples=5),
        jit_compile=compiled,
    )
    got = train(*(tf.constant(x) for x in (rows, tokens, reach, negatives)))
    assert np.allclose(got[0], wanted, atol=1e-4)
    assert float(got[1]) == pytest.approx(loss, rel=1e-4)
    assert float(got[2]) == 24


def test_quotient() -> None:
    strengths = tf.constant([0.0, 1e-6, 0.01, 1.0, 50.0])
    quotients = together.quotient(strengths, 8).numpy()
    assert quotients[0] == pytest.approx(1.0, abs=1e-3)
    assert quotients[-1] == pytest.approx(1 / 8)
    assert np.all(np.diff(quotients) <= 0)
    assert np.allclose(together.quotient(strengths, 1), 1.0)


def test_only_the_common_direction_of_frequent_words_is_held_back() -> None:
    mean = tf.constant([3.0, 0.0])
    change = tf.constant([[1.0, 1.0], [1.0, 1.0]])
    shares = tf.constant([0.1, 1e-9])
    held = together.hold_back(change, shares, mean, steps=tf.constant(10.0), workers=8).numpy()
    assert held[0, 0] == pytest.approx(1 / 8, rel=0.01)
    assert held[0, 1] > 0.6
    assert np.allclose(held[1], 1.0, atol=1e-3)


@pytest.mark.parametrize("workers", [2, 8, 50])
def test_workers_at_once_arrive_where_they_would_one_by_one(workers: int) -> None:
    """A row pulled towards a place along the common direction, by the law that is assumed."""
    mean, strength = np.array([2.0, 0.0], np.float32), 0.7
    at_once = np.array([1.0, 0.0], np.float32)
    change = -at_once * np.float32(1 - np.exp(-strength))
    held = together.hold_back(
        tf.constant(change[None]),
        tf.constant([1.0]),
        tf.constant(mean),
        steps=tf.constant(strength / 4.0),
        workers=workers,
    ).numpy()[0]
    assert at_once[0] + workers * held[0] == pytest.approx(np.exp(-workers * strength), abs=1e-5)
