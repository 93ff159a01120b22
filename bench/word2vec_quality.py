"""word2vec on the cluster against gensim: the same text, hyper-parameters and epochs.

    python bench/word2vec_quality.py [--quick] [--json FILE]

How good vectors are is measured by *twins*, on real text: before the training, words are chosen
and every occurrence of each is replaced, at random, by one of two made-up words. The two are used
exactly alike, so each should be among the other's ten nearest neighbours; the share of those that
are is the score, for frequent (1,000 occurrences and more), middling (100 to 999) and rare words
(20 to 99). Unlike the analogies of questions-words.txt, which are given too, it can be asked of
any corpus, hundreds of times in each band, so differences of a few hundredths are no accident.

gensim is shown twice: as it comes, and with the mean of its vectors taken away. Training moves
all vectors along one direction, which says nothing about any word; ours leave most of that out
(see model.py), so that the second line is the fairer one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
WORD2VEC = ROOT / "examples" / "word2vec"
DATA = ROOT.parent / "shared" / "data"
sys.path.append(str(WORD2VEC))

import corpus  # noqa: E402
import evaluate  # noqa: E402
import pictures  # noqa: E402
import vocabulary  # noqa: E402
from settings import Settings  # noqa: E402

BANDS = {"frequent": (1_000, 10**9), "middling": (100, 1_000), "rare": (20, 100)}
NEIGHBOURS = 10

Ids = NDArray[np.int32]
Sections = dict[str, list[tuple[str, str, str, str]]]


@dataclass(frozen=True)
class Twinned:
    """A text with twins in it, as a file, and which words are twins: band → pairs."""

    path: Path
    pairs: dict[str, list[tuple[str, str]]]


@dataclass(frozen=True)
class Result:
    """One measured number."""

    case: str
    metric: str
    unit: str
    value: float


def twinned(text: str, path: Path, *, seed: int, avoid: set[str], per_band: int = 150) -> Twinned:
    """Split up to ``per_band`` words of each band in two; write the text to ``path``."""
    rng = np.random.default_rng(seed)
    words, ids = vocabulary.build(text)
    names = list(words.words)
    twin = np.arange(len(words), dtype=np.int32)
    pairs: dict[str, list[tuple[str, str]]] = {}
    for band, (least, most) in BANDS.items():
        candidates = [
            rank
            for rank, count in enumerate(words.counts.tolist())
            if least <= count < most and rank >= 20 and words.words[rank] not in avoid
        ]
        chosen = rng.choice(candidates, min(per_band, len(candidates)), replace=False)
        pairs[band] = []
        for rank in chosen.tolist():
            twin[rank] = len(names)
            names.append(f"{words.words[rank]}zzb")
            names[rank] = f"{words.words[rank]}zza"
            pairs[band].append((names[rank], names[-1]))
    swapped = np.where(rng.random(len(ids)) < 0.5, twin[ids], ids)
    written = np.array(names, object)[swapped].tolist()
    lines = (" ".join(written[begin : begin + 20]) for begin in range(0, len(written), 20))
    path.write_text("\n".join(lines), encoding="utf-8")
    return Twinned(path, pairs)


def scores(
    words: list[str], vectors: evaluate.Vectors, text: Twinned, questions: Sections
) -> Iterator[tuple[str, str, float]]:
    """(metric, unit, value) of one training's vectors."""
    yield "finite vectors", "share", float(np.isfinite(vectors).all(axis=1).mean())
    index = {word: place for place, word in enumerate(words)}
    for band, pairs in text.pairs.items():
        both = [(a, b) for a, b in pairs if a in index and b in index]
        asked = [index[a] for a, b in both] + [index[b] for a, b in both]
        wanted = [index[b] for a, b in both] + [index[a] for a, b in both]
        near = evaluate.neighbours(vectors, asked, count=NEIGHBOURS)
        found = [w in [i for i, _ in row] for w, row in zip(wanted, near, strict=True)]
        yield f"twins found, {band}", "share", float(np.mean(found))
    sections = evaluate.analogies(vectors, index, questions)
    asked_in_all = sum(section.asked for section in sections)
    if asked_in_all:
        right = sum(section.right for section in sections)
        yield f"analogies of {asked_in_all:,}", "share", right / asked_in_all


def train_ours(
    text: Twinned, settings: Settings, runs: Path
) -> tuple[list[str], evaluate.Vectors, float]:
    """Words, vectors, and the seconds the training took, of a cluster that tenfold brings up."""
    tenfold = [sys.executable, "-m", "tenfold"]
    subprocess.run(
        [
            *[*tenfold, "up", str(WORD2VEC / "tenfold.yaml"), "--runs", str(runs)],
            *["--set", f"vars.corpus={text.path}", "--set", f"vars.epochs={settings.epochs}"],
            *["--set", f"vars.seed={settings.seed}", "--set", f"vars.window={settings.window}"],
            *["--set", f"vars.negatives={settings.negatives}"],
            *["--set", "jupyter=false", "--set", "tensorboard=false"],
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=1800,
    )
    told = subprocess.run(
        [*tenfold, "ps", "--json", "--runs", str(runs)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    directory = Path(json.loads(told.stdout)["directory"])
    log = (directory / "tasks" / "chief-0" / "stdout.log").read_text(encoding="utf-8")
    seconds = float(log.partition("trained in ")[2].split()[0])
    words, vectors = pictures.load_vectors(directory / "results" / "vectors.txt")
    return words, vectors, seconds


def train_gensim(
    text: Twinned, settings: Settings, threads: int
) -> tuple[list[str], evaluate.Vectors, float]:
    """The same of gensim, on the same tokens in lines of 1,000."""
    from gensim.models import Word2Vec

    words, ids = vocabulary.build(corpus.read(text.path))
    spelled = np.array(words.words, object)[ids].tolist()
    lines = [spelled[begin : begin + 1_000] for begin in range(0, len(spelled), 1_000)]
    begun = time.monotonic()
    model = Word2Vec(
        lines,
        vector_size=settings.dim,
        window=settings.window,
        sg=1,
        negative=settings.negatives,
        sample=settings.sample,
        alpha=settings.rate,
        min_alpha=settings.least_rate,
        epochs=settings.epochs,
        min_count=1,
        workers=threads,
        seed=settings.seed,
    )
    return list(model.wv.index_to_key), model.wv.vectors, time.monotonic() - begun


def compare(name: str, settings: Settings, home: Path, questions: Sections) -> Iterator[Result]:
    """Both on one corpus, one after the other."""
    seed, epochs = settings.seed, settings.epochs
    path = DATA / "speeches.txt" if name == "speeches" else corpus.locate(name)
    avoid = {word for section in questions.values() for four in section for word in four}
    text = twinned(corpus.read(path), home / f"{name}-{seed}.txt", seed=seed, avoid=avoid)
    case = f"{name}, {epochs} epoch{'s' if epochs > 1 else ''}"
    words, vectors, seconds = train_ours(text, settings, home / "runs")
    yield Result(f"{case}, tenfold", "training", "s", seconds)
    for score in scores(words, vectors, text, questions):
        yield Result(f"{case}, tenfold", *score)
    words, vectors, seconds = train_gensim(text, settings, threads=2)
    yield Result(f"{case}, gensim", "training", "s", seconds)
    for score in scores(words, vectors, text, questions):
        yield Result(f"{case}, gensim", *score)
    for score in scores(words, vectors - vectors.mean(axis=0), text, questions):
        yield Result(f"{case}, gensim − mean", *score)


def summary(results: list[Result]) -> list[dict[str, Any]]:
    """Median and extremes over the seeds, in the shape all benches share."""
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for result in results:
        values[result.case, result.metric.split(" of ")[0], result.unit].append(result.value)
    return [
        {
            "topic": "word2vec quality",
            "case": case,
            "metric": metric,
            "unit": unit,
            "median": round(median(numbers), 4),
            "min": round(min(numbers), 4),
            "max": round(max(numbers), 4),
            "n": len(numbers),
        }
        for (case, metric, unit), numbers in values.items()
    ]


def table(rows: list[dict[str, Any]]) -> Table:
    """One line a case, one column a metric: median, and the extremes if there are several."""
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    drawn = Table("", *metrics, title="word2vec: the cluster against gensim")
    for case in dict.fromkeys(row["case"] for row in rows):
        cells = {row["metric"]: row for row in rows if row["case"] == case}
        drawn.add_row(case, *(_cell(cells.get(metric)) for metric in metrics))
    return drawn


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    digits = 1 if row["unit"] == "s" else 3
    middle = f"{row['median']:.{digits}f}"
    if row["n"] == 1:
        return middle
    return f"{middle} ({row['min']:.{digits}f}–{row['max']:.{digits}f})"


def main() -> int:
    """Exit code 0 when all trainings went well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one seed, two cases: some 4 minutes")
    parser.add_argument("--seeds", type=int, default=3, help="repeats of each case")
    parser.add_argument("--window", type=int, default=Settings.window)
    parser.add_argument("--negatives", type=int, default=Settings.negatives)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    cases = [("speeches", 3), ("docs", 1)]
    if not options.quick:
        cases += [("speeches", 10), ("docs", 3)]
    if not DATA.exists():
        cases = [case for case in cases if case[0] != "speeches"]
    told = DATA / "questions-words.txt"
    questions = evaluate.questions(told.read_text().splitlines()) if told.exists() else {}
    console = Console(stderr=True)
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as home:
        for seed in range(1, 2 if options.quick else options.seeds + 1):
            for name, epochs in cases:
                console.print(f"{name}, {epochs} epochs, seed {seed} …")
                settings = Settings(
                    epochs=epochs, seed=seed, window=options.window, negatives=options.negatives
                )
                results += compare(name, settings, Path(home), questions)
    rows = summary(results)
    Console(width=160).print(table(rows))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
