"""Texts with known answers, and measures: perfect vectors score 1, random ones chance."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quality
from word2vec_example import Settings, corpus, sampling, vocabulary

CLUSTERS, STOP_WORDS, SIZE = 20, 50, 40
TOKENS = 200_000


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> quality.Planted:
    """A planted text of 850 words."""
    return quality.planted(
        tmp_path_factory.mktemp("planted") / "text.txt",
        seed=3,
        tokens=TOKENS,
        words=STOP_WORDS + CLUSTERS * SIZE,
        clusters=CLUSTERS,
        stop_words=STOP_WORDS,
    )


def test_a_planted_text_has_the_planned_word_counts(text: quality.Planted) -> None:
    words, ids = vocabulary.build(corpus.read(text.path), min_count=1)
    told = {w: n for w, n in zip(text.words, text.counts.tolist(), strict=True) if n}
    assert dict(zip(words.words, words.counts.tolist(), strict=True)) == told
    assert len(ids) == TOKENS
    lines = text.path.read_text().splitlines()
    assert {len(line.split()) for line in lines} == {quality.SENTENCE}


def test_a_sentence_stays_in_one_cluster_except_for_stop_words_and_noise(
    text: quality.Planted,
) -> None:
    cluster_of = dict(zip(text.words, text.clusters.tolist(), strict=True))
    stop, home = 0, 0
    for line in text.path.read_text().splitlines():
        clusters = [cluster_of[word] for word in line.split()]
        stop += clusters.count(-1)
        own = [cluster for cluster in clusters if cluster >= 0]
        home += max(map(own.count, own), default=0)
    assert stop / TOKENS == pytest.approx(0.3, abs=0.01)
    # noise draws the sentence's own cluster once in a while, too
    assert home / (TOKENS - stop) == pytest.approx(0.9 + 0.1 / CLUSTERS, abs=0.01)


def test_words_of_a_cluster_follow_zipf(text: quality.Planted) -> None:
    assert sorted(set(text.clusters.tolist())) == list(range(-1, CLUSTERS))
    by_rank = text.counts[STOP_WORDS:].reshape(CLUSTERS, SIZE).sum(axis=0)
    for rank in (2, 5, 20):
        assert by_rank[0] / by_rank[rank - 1] == pytest.approx(rank, rel=0.1)
    assert text.counts[0] / text.counts[1] == pytest.approx(2, rel=0.1)


def test_a_seed_decides_everything(tmp_path: Path) -> None:
    def written(name: str, seed: int) -> bytes:
        return quality.planted(tmp_path / name, seed=seed, tokens=2_000).path.read_bytes()

    assert written("a", 1) == written("b", 1)
    assert written("a", 1) != written("c", 2)


def test_made_up_words_differ() -> None:
    spelled = {bytes(word) for word in quality.made_up(50_000)}
    assert len(spelled) == 50_000
    assert all(word.decode().isalpha() and len(word) == 6 for word in spelled)


def test_perfect_vectors_score_one_and_random_ones_chance(text: quality.Planted) -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(CLUSTERS + 1, 64))
    near = points[text.clusters] + 0.01 * rng.normal(size=(len(text.words), 64))
    near[:STOP_WORDS] = rng.normal(size=(STOP_WORDS, 64))
    perfect = quality.precision(text.words, near.astype(np.float32), text)
    assert perfect == {"frequent": 1.0, "middling": 1.0, "rare": 1.0}
    random = rng.normal(size=(len(text.words), 64)).astype(np.float32)
    for share in quality.precision(text.words, random, text).values():
        assert share == pytest.approx(1 / CLUSTERS, abs=0.05)


def test_the_order_of_words_does_not_matter(text: quality.Planted) -> None:
    rng = np.random.default_rng(2)
    points = rng.normal(size=(CLUSTERS + 1, 64))
    vectors = (points[text.clusters] + rng.normal(size=(len(text.words), 64))).astype(np.float32)
    order = rng.permutation(len(text.words))
    shuffled = [text.words[place] for place in order]
    straight = quality.precision(text.words, vectors, text, sample=10_000)
    assert quality.precision(shuffled, vectors[order], text, sample=10_000) == pytest.approx(
        straight, abs=0.02
    )


def test_vectors_that_are_not_finite_are_counted_and_score_little(text: quality.Planted) -> None:
    vectors = np.full((len(text.words), 8), np.nan, np.float32)
    assert quality.finite(vectors) == 0.0
    assert all(share < 0.2 for share in quality.precision(text.words, vectors, text).values())
    vectors[: len(vectors) // 2] = 1.0
    assert quality.finite(vectors) == 0.5


def test_nearest_are_the_nearest() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(300, 8)).astype(np.float32)
    asked = np.array([0, 7, 299])
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for word, near in zip(asked, quality.nearest(vectors, asked), strict=True):
        cosines = directions @ directions[word]
        cosines[word] = -2
        assert set(near.tolist()) == set(np.argsort(-cosines)[: quality.NEIGHBOURS].tolist())


def test_twins_share_the_occurrences_of_their_word(tmp_path: Path, text: quality.Planted) -> None:
    original = corpus.read(text.path)
    made = quality.twinned(original, tmp_path / "twins.txt", seed=1, per_band=10)
    before, _ = vocabulary.build(original)
    after, ids = vocabulary.build(corpus.read(made.path), min_count=1)
    assert len(ids) == before.total
    assert [len(pairs) for pairs in made.pairs.values()] == [10, 10, 10]
    for a, b in itertools.chain.from_iterable(made.pairs.values()):
        count = before.counts[before.index[a.removesuffix("zza")]]
        counts = after.counts[after.index[a]], after.counts[after.index[b]]
        assert sum(counts) == count
        assert min(counts) > 0.1 * count


def test_twins_are_found_where_they_are_alike(tmp_path: Path, text: quality.Planted) -> None:
    made = quality.twinned(corpus.read(text.path), tmp_path / "twins.txt", seed=1, per_band=10)
    words = [word for pairs in made.pairs.values() for pair in pairs for word in pair]
    words += [f"other{number}" for number in range(500)]
    vectors = np.random.default_rng(1).normal(size=(len(words), 32)).astype(np.float32)
    assert max(quality.twins_found(words, vectors, made).values()) < 0.3
    vectors[1:60:2] = vectors[0:60:2]
    assert quality.twins_found(words, vectors, made) == dict.fromkeys(quality.TWIN_BANDS, 1.0)


@pytest.mark.parametrize("window", [1, 5])
def test_expected_pairs_are_those_of_a_real_draw(text: quality.Planted, window: int) -> None:
    settings = Settings(window=window, epochs=2)
    words, ids = vocabulary.build(corpus.read(text.path))
    rng = np.random.default_rng(1)
    kept = sampling.subsample(ids, sampling.keep_probability(words.counts, settings.sample), rng)
    reach = rng.integers(1, window + 1, len(kept))
    place = np.arange(len(kept))
    drawn = np.minimum(reach, place).sum() + np.minimum(reach, place[::-1]).sum()
    assert quality.pairs_expected(words.counts, settings) == pytest.approx(2 * drawn, rel=0.02)


def test_gensim_learns_the_planted_clusters(text: quality.Planted) -> None:
    settings = replace(Settings(), dim=32, window=5, negatives=5, epochs=3)
    done = quality.train_gensim(text.path, settings, threads=2)
    words, _ = vocabulary.build(corpus.read(text.path))
    assert sorted(done.words) == sorted(words.words)
    assert done.vectors.shape == (len(words), 32)
    assert quality.finite(done.vectors) == 1.0
    assert quality.precision(done.words, done.vectors, text)["frequent"] > 0.9
    assert done.whole_s >= done.training_s > 0
