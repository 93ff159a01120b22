"""The chief: word2vec on the cluster, from the corpus to the picture.

    tenfold up examples/word2vec/tenfold.yaml --set vars.corpus=PATH --set vars.epochs=3

All output is in the run directory: vectors and picture in results/, checkpoints in checkpoints/,
summaries in tensorboard/.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import corpus
import evaluate
import pictures
import tenfold
import tensorflow as tf
import vocabulary
from model import Model
from settings import Settings
from training import Figures, NothingToTrain, Training, TrainingDiverged

PROJECTED = 5_000  # words in TensorBoard's projector: more only make the page slow


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 at the end of the training, 1 if it failed, 2 on bad input."""
    options = _options(arguments)
    tf.get_logger().setLevel("ERROR")
    try:
        settings = Settings(**{field: getattr(options, field) for field in _fields()})
        path = corpus.locate(options.corpus, relative_to=options.relative_to)
        words, ids = _dictionary(path, settings)
    except (corpus.CorpusError, ValueError) as error:
        print(f"train: {error}", file=sys.stderr)
        if hint := getattr(error, "hint", None):
            print(f"  hint: {hint}", file=sys.stderr)
        return 2
    try:
        model = _train(words, ids, settings, _checkpoints(options), options.save_every)
        vectors = model.embeddings()
        if not np.isfinite(vectors).all():
            raise TrainingDiverged("some vectors are not finite")
    except TrainingDiverged as error:
        print(f"train: {error}: try a smaller --rate or --stretch", file=sys.stderr)
        return 1
    except NothingToTrain:
        print("train: the text is too short: fewer than two words remain", file=sys.stderr)
        print("  hint: use a longer text, or --sample 0 to keep all words", file=sys.stderr)
        return 2
    except tf.errors.UnavailableError as error:
        print(f"train: lost a parameter server: {error.message[:300]}", file=sys.stderr)
        return 1
    _finish(words.words, vectors)
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--corpus", default="docs", help="docs, text8, or a path")
    parser.add_argument("--relative-to", type=Path, default=Path(), metavar="DIRECTORY")
    parser.add_argument(
        "--checkpoints", default="", metavar="DIRECTORY", help="default: that of the run"
    )
    parser.add_argument("--save-every", type=float, default=30.0, metavar="SECONDS")
    for name, default in _fields().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    return parser.parse_args(arguments)


def _checkpoints(options: argparse.Namespace) -> Path:
    if not options.checkpoints:
        return tenfold.task().checkpoints
    return Path(options.relative_to, Path(options.checkpoints).expanduser())


def _fields() -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(Settings)}


def _dictionary(path: Path, settings: Settings) -> tuple[vocabulary.Vocabulary, NDArray[Any]]:
    text = corpus.read(path)
    words, ids = vocabulary.build(text, size=settings.vocabulary, min_count=settings.min_count)
    if len(words) < 2:
        raise corpus.CorpusError(
            f"{path} has {len(words)} words that occur {settings.min_count} times or more",
            "use a longer text or a smaller --min-count",
        )
    print(
        f"{path.name}: {len(ids):,} words, {len(words):,} different ones "
        f"({words.left_out:,} of rarer words left out)"
    )
    return words, ids


def _train(
    words: vocabulary.Vocabulary,
    ids: NDArray[Any],
    settings: Settings,
    checkpoints: Path,
    save_every_s: float,
) -> Model:
    me = tenfold.task()
    strategy = tenfold.tensorflow.strategy()
    workers = len(me.addresses["worker"])
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    model = Model(strategy, words.counts, settings, workers=workers)
    training = Training(
        model,
        coordinator,
        ids,
        words.counts,
        checkpoints=checkpoints / training_name(words, settings),
        save_every_s=save_every_s,
    )
    if training.resume():
        epochs, tokens = training.position
        print(f"resumed after {epochs} epochs and {tokens:,} words of the next")
    print(
        f"training on {workers} workers and {len(model.shards)} shards, "
        f"{training.stretch} words at a time"
    )
    tenfold.progress(0, len(ids) * settings.epochs, unit="words", state="compiling")
    begun = time.monotonic()
    with tf.summary.create_file_writer(str(me.tensorboard / "train")).as_default():
        training.run(_report)
    print(f"trained {training.pairs:,} pairs in {time.monotonic() - begun:.1f} s")
    return model


def training_name(words: vocabulary.Vocabulary, settings: Settings) -> str:
    """A directory name that two trainings share if one can take up the other's checkpoint.

    Epochs and rates are not in it: a finished training can be gone on with.
    """
    return (
        f"{words.fingerprint}-dim{settings.dim}-window{settings.window}"
        f"-negatives{settings.negatives}-seed{settings.seed}"
    )


def _report(figures: Figures) -> None:
    tenfold.progress(
        figures.words,
        figures.words_total,
        unit="words",
        epoch=f"{figures.epoch}/{figures.epochs}",
        loss=round(figures.loss, 3),
    )
    for name, value in (
        ("loss", figures.loss),
        ("learning rate", figures.rate),
        ("words per second", figures.words_s),
        ("pairs per second", figures.pairs_s),
    ):
        tf.summary.scalar(name, value, step=figures.words)


def _finish(words: tuple[str, ...], vectors: evaluate.Vectors) -> None:
    """Neighbours, vectors, picture, projector; then say where everything is."""
    me = tenfold.task()
    Console(width=120, highlight=False).print(neighbour_table(words, vectors))
    pictures.save_vectors(me.results / "vectors.txt", words, vectors)
    pictures.save_projector(me.tensorboard / "words", words[:PROJECTED], vectors[:PROJECTED])
    picture = me.results / "words.png"
    try:
        pictures.save_picture(picture, words, vectors)
    except ImportError as error:
        print(f"no picture: {error} (pip install matplotlib scikit-learn)")
    else:
        print(f"picture  {picture}")
    print(f"vectors  {me.results / 'vectors.txt'}")
    print(f"logs     {me.run_directory}")


def neighbour_table(words: tuple[str, ...], vectors: evaluate.Vectors) -> Table:
    """Some frequent words and their nearest ones, as a rich table."""
    chosen = evaluate.interesting(words)
    table = Table(box=None, pad_edge=False)
    table.add_column("word", no_wrap=True)
    table.add_column("nearest words, by cosine", no_wrap=True)
    for word, near in zip(chosen, evaluate.neighbours(vectors, chosen, count=5), strict=True):
        table.add_row(words[word], "  ".join(f"{words[other]} {cos:.2f}" for other, cos in near))
    return table


if __name__ == "__main__":
    sys.exit(main())
