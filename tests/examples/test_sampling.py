"""Subsampling, negatives, stretches."""

from __future__ import annotations

import numpy as np
import pytest

import sampling

COUNTS = np.array([5000, 3000, 1500, 400, 90, 9, 1], np.int64)


def test_frequent_words_are_kept_less_often() -> None:
    keep = sampling.keep_probability(COUNTS, 1e-2)
    share = COUNTS / COUNTS.sum()
    assert keep[0] == pytest.approx(np.sqrt(1e-2 / share[0]) + 1e-2 / share[0])
    assert np.all(np.diff(keep) >= 0)
    assert keep[-1] == 1.0
    assert sampling.keep_probability(COUNTS, 0.0).tolist() == [1.0] * 7


def test_subsample_keeps_the_order_and_the_shares() -> None:
    rng = np.random.default_rng(1)
    ids = rng.permutation(np.repeat(np.arange(7, dtype=np.int32), COUNTS))
    keep = sampling.keep_probability(COUNTS, 1e-2)
    kept = sampling.subsample(ids, keep, rng)
    wanted = COUNTS * keep
    assert np.allclose(np.bincount(kept, minlength=7), wanted, atol=5 * np.sqrt(wanted.max()))
    everything = sampling.subsample(ids, np.ones(7, np.float32), rng)
    assert np.array_equal(everything, ids)


def test_negatives_follow_the_power_law() -> None:
    drawn = sampling.Negatives(COUNTS).draw((400, 500), np.random.default_rng(1))
    assert drawn.shape == (400, 500)
    assert drawn.dtype == np.int32
    wanted = COUNTS**0.75 / (COUNTS**0.75).sum()
    assert np.allclose(np.bincount(drawn.ravel(), minlength=7) / drawn.size, wanted, atol=4e-3)


def test_every_word_of_a_large_vocabulary_can_be_drawn() -> None:
    counts = np.maximum(1_000_000 // np.arange(1, 50_001), 5)
    assert len(np.unique(sampling.Negatives(counts)._table)) == 50_000


@pytest.mark.parametrize("tokens", [1, 99, 100, 101, 1000])
@pytest.mark.parametrize("window", [1, 3])
def test_stretches_cover_every_token_once_with_its_neighbours(tokens: int, window: int) -> None:
    ids = np.random.default_rng(2).integers(0, 7, tokens).astype(np.int32)
    cutter = sampling.Cutter(length=100, batch=20, window=window, shared=5, pool=40, seed=1)
    stretches = list(cutter.cut(ids, sampling.Negatives(COUNTS), epoch=0))
    assert len(stretches) == cutter.count(tokens)
    assert sum(stretch.words for stretch in stretches) == tokens
    padded = np.concatenate([np.full(window, -1), ids, np.full(100 + window, -1)])
    for stretch in stretches:
        begin = stretch.number * 100
        wanted = padded[begin : begin + 100 + 2 * window]
        assert np.array_equal(stretch.tokens[: len(wanted)], wanted)
        assert np.all(stretch.tokens[len(wanted) :] == -1)
        assert stretch.negatives.shape == (5, 5)
        assert stretch.reach.min() >= 1
        assert stretch.reach.max() <= window


def test_a_stretch_draws_its_negatives_from_a_few_words_and_all_stretches_as_word2vec_does() -> (
    None
):
    counts = np.array([400, 200, 100, 50] * 250, np.int64)
    cutter = sampling.Cutter(length=640, batch=8, window=1, shared=32, pool=50, seed=1)
    ids = np.zeros(640 * 400, np.int32)
    seen = np.zeros(len(counts), np.int64)
    for stretch in cutter.cut(ids, sampling.Negatives(counts), epoch=0):
        assert stretch.negatives.shape == (80, 32)
        assert len(np.unique(stretch.negatives)) <= 50
        seen += np.bincount(stretch.negatives.ravel(), minlength=len(counts))
    share = np.bincount(np.arange(1_000) % 4, weights=seen) / seen.sum()
    wanted = counts[:4] ** 0.75 / (counts[:4] ** 0.75).sum()
    assert np.abs(share - wanted).max() < 0.02


def test_a_resumed_epoch_sees_what_it_would_have_seen() -> None:
    ids = np.random.default_rng(2).integers(0, 7, 1000).astype(np.int32)
    cutter = sampling.Cutter(length=100, batch=20, window=2, shared=5, pool=40, seed=1)
    negatives = sampling.Negatives(COUNTS)
    whole = list(cutter.cut(ids, negatives, epoch=3))
    resumed = list(cutter.cut(ids, negatives, epoch=3, start=6))
    for one, other in zip(whole[6:], resumed, strict=True):
        assert one.number == other.number
        assert np.array_equal(one.tokens, other.tokens)
        assert np.array_equal(one.reach, other.reach)
        assert np.array_equal(one.negatives, other.negatives)
    other_epoch = next(cutter.cut(ids, negatives, epoch=4))
    assert not np.array_equal(whole[0].negatives, other_epoch.negatives)


@pytest.mark.parametrize(("tokens", "window"), [(40, 1), (41, 3), (3, 2), (1, 1)])
def test_pairs_are_those_of_each_word_with_what_it_reaches(tokens: int, window: int) -> None:
    cutter = sampling.Cutter(length=16, batch=4, window=window, shared=2, pool=4, seed=1)
    ids = np.arange(tokens, dtype=np.int32)
    stretches = list(cutter.cut(ids, sampling.Negatives(np.full(tokens, 9)), epoch=0))
    counted = 0
    for stretch in stretches:
        for place in range(stretch.words):
            reach = int(stretch.reach[place])
            at = stretch.number * 16 + place
            counted += min(reach, at) + min(reach, tokens - 1 - at)
    assert sum(stretch.pairs for stretch in stretches) == counted
