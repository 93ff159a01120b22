"""The arithmetic, against word2vec's own sums written out pair by pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.own_process import lazily

tf = lazily("tensorflow")
skipgram = lazily("skipgram")
together = lazily("together")
pytestmark = pytest.mark.imports("tensorflow")

DIM = 6
RATE = 0.05


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def _pair_by_pair(
    rows: Any, nearby: Any, reach: Any, negatives: Any, window: int, samples: int
) -> tuple[Any, float, int]:
    """The sum of all pairs' gradients, taken at the batch's start; the loss; the pairs.

    ``rows``: [words, 2, dim], embeddings and contexts; the others are in words.
    """
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
                score = float(rows[word, 0] @ rows[target, 1])
                pull = weight * RATE * (label - _sigmoid(score))
                move[word, 0] += pull * rows[target, 1]
                move[target, 1] += pull * rows[word, 0]
                loss += weight * float(np.logaddexp(0, -score if label else score))
    return rows + move, loss, pairs


def _train(rows: Any, nearby: Any, reach: Any, negatives: Any, window: int, samples: int) -> Any:
    """skipgram.train of rows and words as ``_pair_by_pair`` takes them, compiled."""

    def train(held: Any, words: Any, contexts: Any, far: Any, drawn: Any) -> Any:
        rate = tf.constant(RATE)
        return skipgram.train(
            held, words, contexts, far, drawn, rate, window=window, samples=samples
        )

    real = nearby >= 0
    arrays = (
        rows.reshape(-1, DIM),
        np.where(real, 2 * nearby, -1)[window:-window],
        np.where(real, 2 * nearby + 1, -1),
        reach,
        2 * negatives + 1,
    )
    new, loss, pairs = tf.function(train, jit_compile=True)(*map(tf.constant, arrays))
    return new.numpy().reshape(rows.shape), float(loss), float(pairs)


@pytest.mark.parametrize("window", [1, 2, 4])
@pytest.mark.parametrize("samples", [3, 8])
def test_a_batch_is_the_sum_of_its_pairs(window: int, samples: int) -> None:
    rng = np.random.default_rng(window)
    rows = rng.normal(size=(9, 2, DIM)).astype(np.float32)
    nearby = rng.integers(0, 9, 10 + 2 * window).astype(np.int32)
    nearby[:window] = -1
    nearby[-window - 2 :] = -1
    reach = rng.integers(1, window + 1, 10).astype(np.int32)
    negatives = rng.integers(0, 9, (1, 8)).astype(np.int32)
    wanted, loss, pairs = _pair_by_pair(rows, nearby, reach, negatives[0], window, samples)
    got = _train(rows, nearby, reach, negatives, window, samples)
    assert np.allclose(got[0], wanted, atol=1e-5)
    assert got[1] == pytest.approx(loss / pairs, rel=1e-4)
    assert got[2] == pairs


def test_batches_follow_each_other() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(20, 2, DIM)).astype(np.float32)
    tokens = rng.integers(0, 20, 12 + 2).astype(np.int32)
    reach = np.ones(12, np.int32)
    negatives = rng.integers(0, 20, (3, 5)).astype(np.int32)
    wanted = rows
    for batch in range(3):
        wanted, _, _ = _pair_by_pair(
            wanted, tokens[4 * batch : 4 * batch + 6], reach[:4], negatives[batch], 1, 5
        )
    got = _train(rows, tokens, reach, negatives, 1, 5)
    assert np.allclose(got[0], wanted, atol=1e-4)
    assert got[2] == 24


def test_the_loss_is_that_of_the_first_batches() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(20, 2, DIM)).astype(np.float32)
    batches = skipgram.LOOKED_AT + 3
    tokens = rng.integers(0, 20, 4 * batches + 2).astype(np.int32)
    reach = np.ones(4 * batches, np.int32)
    negatives = rng.integers(0, 20, (batches, 5)).astype(np.int32)
    losses, pairs = 0.0, 0
    for batch in range(skipgram.LOOKED_AT):
        nearby = tokens[4 * batch : 4 * batch + 6]
        _, loss, count = _pair_by_pair(rows, nearby, reach[:4], negatives[batch], 1, 5)
        losses, pairs = losses + loss, pairs + count
    got = _train(rows, tokens, reach, negatives, 1, 5)
    assert got[1] == pytest.approx(losses / pairs, rel=1e-4)
    assert got[2] == 8 * batches


def test_the_quotient_falls_from_one_to_the_inverse() -> None:
    strengths = tf.constant([0.0, 1e-6, 0.01, 1.0, 50.0])
    quotients = together.quotient(strengths, 8).numpy()
    assert quotients[0] == pytest.approx(1.0, abs=1e-3)
    assert quotients[-1] == pytest.approx(1 / 8)
    assert np.all(np.diff(quotients) <= 0)
    assert np.allclose(together.quotient(strengths, 1), 1.0)


def test_only_the_common_direction_of_frequent_words_is_held_back() -> None:
    means = tf.constant([[0.0, 5.0], [3.0, 0.0]])
    change = tf.constant([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    shares = tf.constant([0.1, 1e-9, 0.1])
    held = together.hold_back(
        change, shares, tf.constant([1, 1, 0]), means, steps=tf.constant(10.0), workers=8
    ).numpy()
    assert held[0, 0] == pytest.approx(1 / 8, rel=0.01)
    assert held[0, 1] > 0.6
    assert np.allclose(held[1], 1.0, atol=1e-3)
    assert held[2, 0] > 0.6
    assert held[2, 1] == pytest.approx(1 / 8, rel=0.01)


@pytest.mark.parametrize("workers", [2, 8, 50])
def test_workers_at_once_reach_the_same_result_as_one_by_one(workers: int) -> None:
    """A row pulled towards a place along the common direction, by the law that is assumed."""
    mean, strength = np.array([2.0, 0.0], np.float32), 0.7
    at_once = np.array([1.0, 0.0], np.float32)
    change = -at_once * np.float32(1 - np.exp(-strength))
    held = together.hold_back(
        tf.constant(change[None]),
        tf.constant([1.0]),
        tf.constant([0]),
        tf.constant(mean[None]),
        steps=tf.constant(strength / 4.0),
        workers=workers,
    ).numpy()[0]
    assert at_once[0] + workers * held[0] == pytest.approx(np.exp(-workers * strength), abs=1e-5)
