"""The trainings that are compared: each does its work, and what is told of it fits together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import quality
import train
from measure import Bench
from pace import Mark, Pace
from tests.own_process import lazily, require
from word2vec_example import Settings

require("tensorflow")
graph = lazily("graph2016.graph")

pytestmark = pytest.mark.usefixtures("lean_tensorflow")

SMALL = ("jobs.ps.tasks=1", "jobs.worker.tasks=2", "vars.dim=16")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> train.Text:
    """A planted text of 850 words in 20 clusters."""
    home = tmp_path_factory.mktemp("text")
    planted = quality.planted(
        home / "text.txt", seed=1, tokens=300_000, words=850, clusters=20, stop_words=50
    )
    return train.text_of(
        planted.path, lambda words, vectors: quality.precision(words, vectors, planted)
    )


def test_a_pace_is_measured_from_the_last_start() -> None:
    marks = [
        *(Mark(time=0, done=5, cpu=0), Mark(time=1, done=0, cpu=1)),
        *(Mark(time=11, done=10, cpu=4), Mark(time=13, done=30, cpu=7)),
        Mark(time=15, done=60, cpu=9),
    ]
    assert Pace.of(marks) == Pace(steady=10, seconds=14, cpu_s=8)


def test_the_pace_of_a_short_training_covers_all_of_it() -> None:
    assert Pace.of([Mark(0, 0, 0), Mark(2, 10, 1)]) == Pace(steady=5, seconds=2, cpu_s=1)


def test_too_few_marks_are_no_pace() -> None:
    with pytest.raises(RuntimeError, match="2 marks are too few"):
        Pace.of([Mark(0, 10, 0), Mark(1, 0, 1)])


@pytest.mark.imports("tensorflow")
@pytest.mark.parametrize("window", [1, 2, 5])
def test_the_2016_batches_are_neighbours(window: int) -> None:
    ids = np.random.default_rng(1).permutation(500).astype(np.int32)
    place = np.argsort(ids)
    seen = set()
    for words, beside in itertools.islice(graph.batches(ids, window), 40):
        assert words.shape == (graph.BATCH,)
        assert beside.shape == (graph.BATCH, 1)
        apart = place[beside[:, 0]] - place[words]
        assert set(np.abs(apart).tolist()) <= set(range(1, window + 1))
        seen.update(apart.tolist())
    assert seen == {d for d in range(-window, window + 1) if d}
    assert graph.BATCH == train.BATCH2016


def test_the_2016_graph_trains_on_a_small_cluster(text: train.Text, tmp_path: Path) -> None:
    settings = Settings(negatives=8)
    done = train.by_graph2016(text, settings, tmp_path, steps=200, chosen=SMALL)
    assert done.pairs == 200 * train.BATCH2016
    assert done.vectors.shape == (len(text.words), 16)
    assert np.isfinite(done.vectors).all()
    assert np.abs(done.vectors[0]).max() > 1.0  # it began within -1 … 1, and was moved
    log = next(tmp_path.glob("runs/*/*/tasks/master-0/stdout.log")).read_text()
    assert "200 steps of 128 pairs" in log
    assert done.steady > 0


def test_one_process_learns(text: train.Text, tmp_path: Path) -> None:
    settings = Settings(window=5, negatives=5, epochs=2)
    done = train.by_one_process(text, settings, tmp_path)
    assert done.vectors.shape == (len(text.words), 128)
    assert np.isfinite(done.vectors).all()
    assert text.scores(done.words, done.vectors)["frequent"] > 0.8
    train.check_pairs(done.pairs, quality.pairs_expected(text.words.counts, settings))


def test_a_failed_cluster_is_reported(text: train.Text, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with"):
        train.by_graph2016(text, Settings(), tmp_path, steps=5, chosen=["jobs.worker.tasks=no"])


def test_gensim_trains_as_many_pairs(text: train.Text) -> None:
    settings = Settings(window=5, negatives=5)
    done = quality.train_gensim(text.path, settings, threads=2)
    train.check_pairs(done.pairs, quality.pairs_expected(text.words.counts, settings))


def test_other_pairs_and_vectors_that_diverged_fail() -> None:
    train.check_pairs(1_005, 1_000)
    with pytest.raises(RuntimeError, match="980 pairs were trained, not 1,000"):
        train.check_pairs(980, 1_000)
    made = quality.Trained(["a", "b"], np.array([[1.0], [np.nan]], np.float32), 1, 1, 1, 1, 1)
    with pytest.raises(RuntimeError, match=r"only 0\.500 of the vectors are finite"):
        list(train.measured(made, lambda words, vectors: {}))


def trained_in(seconds: float) -> Callable[[Path], quality.Trained]:
    """A training of 1,000 pairs that is done already."""
    vectors = np.eye(4, dtype=np.float32)
    words = ["a", "b", "c", "d"]
    steady = 2_000 / seconds
    made = quality.Trained(words, vectors, 1_000, steady, seconds, 2 * seconds, 3 * seconds)
    return lambda home: made


def test_rows_have_each_alternative_and_the_ratios(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: train.Text
) -> None:
    seconds = {train.GRAPH2016: 100.0, train.GENSIM: 8.0, train.ALONE: 4.0, train.OURS: 2.0}

    def ways(*_: Any) -> dict[str, Callable[[Path], quality.Trained]]:
        return {way: trained_in(took) for way, took in seconds.items()}

    def scores(words: Sequence[str], vectors: quality.Vectors) -> dict[str, float]:
        return {"precision, rare": float(len(words) == len(vectors))}

    monkeypatch.setattr(train, "ways", ways)
    monkeypatch.setattr(train, "pairs_expected", lambda *_: 1_000)
    bench = Bench("train", tmp_path, repeats=2)
    asked = train.Text(text.path, text.words, text.ids, scores)
    for seed in (1, 2):
        train.compare(bench, "planted", asked, Settings(seed=seed))
    train.add_comparisons(bench)
    found = {(row["case"], row["metric"]): row for row in bench.rows()}
    about = "planted, window 1, 64 negatives: "
    gensim = found[about + train.GENSIM, "training"]
    assert (gensim["median"], gensim["unit"], gensim["n"]) == (125.0, "pairs/s", 2)
    assert found[about + train.OURS, "steady"]["median"] == 1_000
    assert found[about + train.OURS, "precision, rare"]["median"] == 1
    assert (about + train.OURS, "precision, rare, mean removed") not in found
    assert found[about + train.GENSIM, "precision, rare, mean removed"]["n"] == 2
    ratios = {
        case.removeprefix(about): row["median"] for (case, m), row in found.items() if m == "ratio"
    }
    assert ratios[f"ours / {train.GENSIM}, training"] == 4
    assert ratios[f"ours / {train.GRAPH2016}, steady"] == 50
    assert len(ratios) == 6
    better = found[f"{about}ours − {train.GENSIM}", "precision, rare"]
    assert (better["median"], better["n"]) == (0, 2)
    note = found[about + train.GRAPH2016, "steady"]["note"]
    assert note.endswith("from 1,000 pairs; would take 1 min for all")  # 1,000 pairs at 20 a second
    assert not bench.failed
