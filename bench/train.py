"""word2vec: how fast, and how good the vectors are, on the cluster and elsewhere.

    python bench/train.py [--quick] [--json FILE] [--repeats N]

Four ways to train the same text with the same hyper-parameters, in turn, a new planted text and
seed each round: the graph of the 2016 talk on 4 ps + 8 workers (graph2016/), gensim with a thread a
core, the example's arithmetic in one TensorFlow process, and the example on tenfold's 13 tasks.
128 dimensions, one epoch; window 1 with 64 negatives, window 5 with 5. What each line says:

  pairs             (word, neighbour) pairs trained, as each way counts them itself (gensim counts
                    words; a word has window + 1 neighbours on average)
  steady            pairs/s of training once everything is compiled
  training          pairs/s of the whole training, compilation included; gensim has none, and its
                    vocabulary is not part of it
  from the text     seconds from the text file to the vectors: interpreters, TensorFlow's import,
                    the cluster, words, training, files; gensim: vocabulary and training
  CPU               seconds of CPU of the training, of all threads and processes
  precision, …      on a planted text (quality.py): the share of a word's ten nearest that are of
                    its cluster, for frequent, middling and rare words
  twins, …          on real text: the share of split words that have their other half among their
                    ten nearest
  finite            the share of vectors without NaN or infinity; less than 1 fails the case

All train the same pairs, within a hundredth (or the case fails), but for the 2016 graph: that one
stops after some hundred steps, since the end is more than half an hour away. It takes every word,
without subsampling, as it did. Training moves all vectors along one direction that says nothing
about any word; gensim is shown as it comes and with its mean taken away, since the example leaves
most of that out, and is compared by the better of the two.

Owns: what is compared, and how the cluster is started. Leaves to others: the measures (quality.py),
how a training is followed (pace.py).
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from clusters import TENFOLD, end, environment
from measure import Bench, Case, Measured, arguments, command, run
from pace import Mark, Pace, followed
from quality import (
    Trained,
    Vectors,
    centred,
    finite,
    pairs_expected,
    planted,
    precision,
    train_gensim,
    twinned,
    twins_found,
)
from tenfold import load
from word2vec_example import WORD2VEC, Settings, corpus, pictures, vocabulary

HERE = Path(__file__).resolve().parent
SPEECHES = HERE.parents[1] / "shared" / "data" / "speeches.txt"
THREADS = len(os.sched_getaffinity(0))
SHAPES = ((1, 64), (5, 5))
"""Window and negatives."""

OURS = "tenfold, 13 tasks"
GENSIM = f"gensim, {THREADS} threads"
ALONE = "one TensorFlow process"
GRAPH2016 = "2016 graph, 13 tasks"
WAYS = (GRAPH2016, GENSIM, ALONE, OURS)

CHOSEN = ("epochs", "seed", "window", "negatives")
"""What is chosen here of a training's settings; all else is as the example has it."""

BATCH2016 = 128
STEPS2016 = 600

MEAN_REMOVED = ", mean removed"
"""What is added to a metric of vectors whose mean was taken away."""

_TRAINING_S = 600.0
"""A training that takes longer has failed."""

Scores = Callable[[Sequence[str], Vectors], dict[str, float]]
"""Words and their vectors → metric → share."""


@dataclass(frozen=True)
class Text:
    """A text to train on: its file, its words, and what the vectors are asked about it."""

    path: Path
    words: vocabulary.Vocabulary
    ids: NDArray[np.int32]
    scores: Scores


def text_of(path: Path, scores: Scores) -> Text:
    """The text in a file, with the words that all train on."""
    words, ids = vocabulary.build(
        corpus.read(path), size=Settings.vocabulary, min_count=Settings.min_count
    )
    return Text(path, words, ids, scores)


def planted_text(home: Path, seed: int) -> Text:
    """A planted text; asked for the precision of its bands."""
    text = planted(home / "planted.txt", seed=seed)

    def scores(words: Sequence[str], vectors: Vectors) -> dict[str, float]:
        found = precision(words, vectors, text)
        return {f"precision, {band}": share for band, share in found.items()}

    return text_of(text.path, scores)


def real_text(source: Path, home: Path, seed: int) -> Text:
    """A real text with twins in it; asked for them."""
    text = twinned(corpus.read(source), home / "twinned.txt", seed=seed)

    def scores(words: Sequence[str], vectors: Vectors) -> dict[str, float]:
        found = twins_found(words, vectors, text)
        return {f"twins, {band}": share for band, share in found.items()}

    return text_of(text.path, scores)


def by_tenfold(text: Text, settings: Settings, home: Path) -> Trained:
    """`tenfold up` of the example, without its pages."""
    chosen = {name: getattr(settings, name) for name in CHOSEN} | {"corpus": text.path}
    run = up(
        WORD2VEC / "tenfold.yaml",
        home,
        "chief-0",
        *(f"vars.{name}={value}" for name, value in chosen.items()),
        *("jupyter=false", "tensorboard=false"),
    )
    words, vectors = pictures.load_vectors(run.results / "vectors.txt")
    said = (run.results.parent / "tasks" / "chief-0" / "stdout.log").read_text(encoding="utf-8")
    pairs = re.search(r"^trained ([0-9,]+) pairs", said, re.MULTILINE)
    if pairs is None:
        raise RuntimeError("the chief does not say how many pairs it trained")
    return trained(
        (words, vectors), int(pairs[1].replace(",", "")), run.pace, text, settings, run.whole_s
    )


def by_one_process(text: Text, settings: Settings, home: Path) -> Trained:
    """The example's arithmetic in a process of its own, which keeps its memory as tasks do."""
    chosen = [word for name in CHOSEN for word in (f"--{name}", str(getattr(settings, name)))]
    example = load(WORD2VEC / "tenfold.yaml").cluster
    done = command(
        [sys.executable, HERE / "one_process.py", text.path, home, *chosen],
        timeout_s=_TRAINING_S,
        env=environment(GLIBC_TUNABLES=str(example.env["GLIBC_TUNABLES"])),
    )
    told = json.loads((home / "figures.json").read_text(encoding="utf-8"))
    pairs = told.pop("pairs")
    made = (text.words.words, np.load(home / "vectors.npy"))
    return trained(made, pairs, Pace(**told), text, settings, done.seconds)


def by_graph2016(
    text: Text, settings: Settings, home: Path, *, steps: int, chosen: Sequence[str] = ()
) -> Trained:
    """So many steps of the 2016 graph; ``chosen`` are more settings of `tenfold up`."""
    tokens = home / "tokens.npy"
    np.save(tokens, text.ids)
    run = up(
        HERE / "graph2016" / "tenfold.yaml",
        home,
        "master-0",
        *(f"vars.{name}={getattr(settings, name)}" for name in ("seed", "window", "negatives")),
        *(f"vars.tokens={tokens}", f"vars.steps={steps}", *chosen),
    )
    vectors = np.load(run.results / "vectors.npy")
    return Trained(
        text.words.words,
        vectors,
        pairs=steps * BATCH2016,
        steady=run.pace.steady,
        training_s=run.pace.seconds,
        cpu_s=run.pace.cpu_s,
        whole_s=run.whole_s,
    )


def trained(
    made: tuple[Sequence[str], Vectors],
    pairs: int,
    pace: Pace,
    text: Text,
    settings: Settings,
    whole_s: float,
) -> Trained:
    """Words and vectors, with the pace, which is in words of the text, in pairs."""
    steady = pace.steady * pairs / (len(text.ids) * settings.epochs)
    return Trained(*made, pairs, steady, pace.seconds, pace.cpu_s, whole_s)


@dataclass(frozen=True)
class Ended:
    """A run that ended well."""

    results: Path
    pace: Pace
    whole_s: float


def up(file: Path, home: Path, label: str, *chosen: str) -> Ended:
    """`tenfold up` with these settings, to its end; the pace is that of the task ``label``."""
    runs = home / "runs"
    marks: list[Mark] = []
    settings = [word for one in chosen for word in ("--set", one)]
    try:
        argv: list[str | Path] = [*TENFOLD, "up", file, "--runs", runs, *settings]
        whole_s = followed(argv, runs, label, marks, timeout_s=_TRAINING_S)
    finally:
        end(runs)
    (results,) = runs.glob("*/*/results")
    return Ended(results, Pace.of(marks), whole_s)


def measured(done: Trained, scores: Scores, *, without_mean: bool = False) -> Iterator[Measured]:
    """All the lines of one training. Raises RuntimeError if a vector is not finite."""
    if finite(done.vectors) < 1:
        raise RuntimeError(f"only {finite(done.vectors):.3f} of the vectors are finite")
    yield Measured("pairs", "pairs", done.pairs)
    yield Measured("steady", "pairs/s", done.steady)
    yield Measured("training", "pairs/s", done.pairs / done.training_s)
    yield Measured("from the text", "s", done.whole_s)
    yield Measured("CPU", "s", done.cpu_s)
    yield Measured("finite", "share", finite(done.vectors))
    for metric, share in scores(done.words, done.vectors).items():
        yield Measured(metric, "share", share)
    if without_mean:
        for metric, share in scores(done.words, centred(done.vectors)).items():
            yield Measured(metric + MEAN_REMOVED, "share", share)


def ways(text: Text, settings: Settings, steps2016: int) -> dict[str, Callable[[Path], Trained]]:
    """All ways to train, by name; each is given a directory of its own."""
    return {
        GRAPH2016: lambda home: by_graph2016(text, settings, home, steps=steps2016),
        GENSIM: lambda _: train_gensim(text.path, settings, threads=THREADS),
        ALONE: lambda home: by_one_process(text, settings, home),
        OURS: lambda home: by_tenfold(text, settings, home),
    }


def compare(
    bench: Bench, name: str, text: Text, settings: Settings, chosen: Sequence[str] = WAYS
) -> None:
    """One round of the ways ``chosen``, on one text."""
    about = f"{name}, window {settings.window}, {settings.negatives} negatives"
    trainers = ways(text, settings, STEPS2016 // 2 if bench.quick else STEPS2016)

    def case(way: str) -> Case:
        def run() -> Iterator[Measured]:
            with tempfile.TemporaryDirectory(dir=bench.home) as home:
                done = trainers[way](Path(home))
            if way != GRAPH2016:
                check_pairs(done.pairs, pairs_expected(text.words.counts, settings))
            return measured(done, text.scores, without_mean=way == GENSIM)

        return Case(f"{about}: {way}", run)

    bench.compare(*(case(way) for way in chosen), repeats=1)


def check_pairs(pairs: int, expected: int) -> None:
    """Raise RuntimeError unless so many pairs are what all are to train."""
    if abs(pairs / expected - 1) > 0.01:
        raise RuntimeError(f"{pairs:,} pairs were trained, not {expected:,}")


def planted_round(bench: Bench, seed: int) -> None:
    """All ways on a planted text; at window 5 in the first round of the long form only."""
    text = planted_text(bench.home, seed)
    for number, (window, negatives) in enumerate(SHAPES):
        settings = Settings(window=window, negatives=negatives, seed=seed)
        fewer = number > 0 and (bench.quick or seed > 1)
        compare(bench, "planted", text, settings, (GENSIM, OURS) if fewer else WAYS)


def real_round(bench: Bench, name: str, epochs: int, source: Path, seed: int) -> None:
    """gensim and ours on a real text; the short form only at window 1."""
    text = real_text(source, bench.home, seed)
    for window, negatives in SHAPES[:1] if bench.quick else SHAPES:
        settings = Settings(window=window, negatives=negatives, seed=seed, epochs=epochs)
        compare(bench, f"{name}, {epochs} epochs", text, settings, (GENSIM, OURS))


def measure(bench: Bench) -> None:
    """Round by round, each with a text and a seed of its own; real texts once; comparisons."""
    for seed in range(1, bench.repeats + 1):
        planted_round(bench, seed)
    real_round(bench, "docs", 2, corpus.locate("docs"), 1)
    if SPEECHES.exists() and not bench.quick:
        real_round(bench, "speeches", 3, SPEECHES, 1)
    add_comparisons(bench)


def add_comparisons(bench: Bench) -> None:
    """Ours against each other way, wherever both were measured; what the 2016 graph lacks."""
    cases = list(dict.fromkeys(case for case, _, _ in bench.values))
    for ours in (case for case in cases if case.endswith(OURS)):
        about = ours.removesuffix(OURS)
        for other in (way for way in WAYS if way != OURS and about + way in cases):
            for metric in ("steady", "training"):
                bench.ratio(f"{about}ours / {other}, {metric}", ours, about + other, metric)
        add_differences(bench, f"{about}ours − {GENSIM}", ours, about + GENSIM)
        if about + GRAPH2016 in cases:
            tell_how_far(bench, about + GRAPH2016, about + GENSIM)


def add_differences(bench: Bench, name: str, case: str, to: str) -> None:
    """How much better each score is, round by round, than the better one of ``to``."""
    for (whose, metric, unit), values in list(bench.values.items()):
        if whose == case and unit == "share":
            theirs = [bench.values.get((to, metric + how, unit), []) for how in ("", MEAN_REMOVED)]
            for ours, *others in zip(values, *filter(None, theirs), strict=False):
                bench.add(name, Measured(metric, "share", ours - max(others, default=ours)))


def tell_how_far(bench: Bench, case: str, whole: str) -> None:
    """That the 2016 graph saw little of the text, and how long all of it would have taken."""
    steady = median(bench.values[case, "steady", "pairs/s"])
    first = bench.values[case, "pairs", "pairs"][0]
    told = f"scored by what it has learned from {first:,} pairs"
    if pairs := bench.values.get((whole, "pairs", "pairs")):
        told += f"; would take {median(pairs) / steady / 60:,.0f} min for all"
    bench.note(case, told)


if __name__ == "__main__":
    sys.exit(run("train", measure, arguments(__doc__).parse_args(), repeats=3, quick_repeats=1))
