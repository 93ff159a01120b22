"""word2vec of examples/word2vec in one TensorFlow process, without a cluster: for comparison.

    python bench/one_process.py TEXT RESULTS [--window N] [--negatives N] [--epochs N] [--seed N]

Arithmetic and order of work are the example's; what would be handed to workers is computed here, a
stretch after the other, and straight on the table: nothing is pulled, pushed or held back. Leaves
vectors.npy (the most frequent word first) and figures.json, a `Pace` in words and the `pairs`
trained, in the directory RESULTS.

Owns: standing in for the cluster. Leaves to others: everything else (examples/word2vec).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pace import Mark, Pace
from word2vec_example import Settings, corpus, evaluate, vocabulary


@dataclass(frozen=True)
class Value:
    """What a scheduled call gave, to be fetched as a cluster's."""

    tensor: Any

    def fetch(self) -> Any:
        """As numbers."""
        return self.tensor.numpy()


class Here:
    """Stands in for a ClusterCoordinator: what is scheduled is done at once, in this process."""

    def schedule(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Value:
        """Do it."""
        return Value(function(*args))

    def join(self) -> None:
        """Nothing is left to wait for."""


def train(text: Path, settings: Settings) -> tuple[evaluate.Vectors, int, Pace]:
    """One training from the text to the vectors; its pairs, and the pace in words of the text."""
    import skipgram  # like the example's own: late, after word2vec_example
    import tensorflow as tf
    from model import Model
    from training import Training

    class Alone(Model):
        """A model whose table is right here."""

        @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
        def _train(self, packed: Any, room: int) -> Any:  # noqa: ARG002
            tokens, reach, negatives, rate = self._unpacked(packed)
            centres = tokens[settings.window : settings.window + self.stretch]
            new, loss, pairs = skipgram.train(
                self.table,
                tf.where(centres < 0, -1, 2 * centres),
                tf.where(tokens < 0, -1, 2 * tokens + 1),
                reach,
                2 * negatives + 1,
                rate,
                window=settings.window,
                samples=settings.negatives,
            )
            self.table.assign(new)
            return tf.stack([loss, pairs])

    words, ids = vocabulary.build(
        corpus.read(text), size=settings.vocabulary, min_count=settings.min_count
    )
    model = Alone(tf.distribute.get_strategy(), words.counts, settings, workers=1)
    training = Training(model, Here(), ids, words.counts)
    marks = [_mark(0)]
    training.run(lambda figures: marks.append(_mark(figures.words)))
    return model.embeddings(), training.pairs, Pace.of(marks)


def _mark(words: float) -> Mark:
    return Mark(time.monotonic(), words, time.process_time())


def main() -> int:
    """Exit code 0 at the end of the training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("results", type=Path)
    for name in ("window", "negatives", "epochs", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Settings, name))
    options = parser.parse_args()
    chosen = {name: getattr(options, name) for name in ("window", "negatives", "epochs", "seed")}
    vectors, pairs, pace = train(options.text, Settings(**chosen))
    options.results.mkdir(parents=True, exist_ok=True)
    np.save(options.results / "vectors.npy", vectors)
    (options.results / "figures.json").write_text(
        json.dumps({**asdict(pace), "pairs": pairs}), encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
