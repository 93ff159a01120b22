"""Training to the end: stretches to workers, progress, summaries, checkpoints, resume.

Owns: the order of work, what is reported, and when the state is saved. Leaves to others: the
model (model.py) and what a stretch is (sampling.py).

The chief cuts the corpus into stretches and hands each to whichever worker is free, through a
ClusterCoordinator. A worker that dies loses nothing: its stretch goes to another one. A stretch
may then be trained twice, which does no harm.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tensorflow as tf
from model import Model
from sampling import Cutter, Negatives, Stretch, keep_probability, subsample
from settings import Settings


class TrainingDiverged(Exception):
    """The loss is no longer a number; the last checkpoint is from before that."""


@dataclass(frozen=True)
class Figures:
    """How far a training is, and how it goes.

    ``words`` counts the corpus' words gone by, in all epochs together (subsampled ones included);
    ``loss`` is in nats a pair, ``words_s`` and ``pairs_s`` a second, over the last round.
    """

    epoch: int
    epochs: int
    words: int
    words_total: int
    loss: float
    rate: float
    words_s: float
    pairs_s: float


@dataclass(frozen=True)
class Round:
    """Consecutive stretches of one epoch, trained between two looks at the clock."""

    epoch: int
    begin: int
    end: int
    of: int
    stretches: list[Stretch]


class Training:
    """One training of a model on a corpus. ``run`` may be called once.

    ``coordinator`` is a ClusterCoordinator; ``ids`` the corpus, int32, as vocabulary.build gives
    it. With ``checkpoints``, the state is saved there every ``save_every_s`` seconds and at the
    end of each epoch, and a state found there is taken up again: the rows and the position in the
    corpus are in one checkpoint, so they always fit each other.
    """

    def __init__(
        self,
        model: Model,
        coordinator: Any,
        ids: NDArray[np.int32],
        counts: NDArray[np.int64],
        *,
        checkpoints: Path | None = None,
        save_every_s: float = 30.0,
    ) -> None:
        self.model = model
        self.settings: Settings = model.settings
        self._coordinator = coordinator
        self._ids = ids
        self._keep = keep_probability(counts, self.settings.sample)
        self._negatives = Negatives(counts)
        kept = int(self._keep[ids].sum())
        self._cutter = Cutter(
            length=self.settings.stretch_for(kept, model.workers),
            batch=self.settings.batch,
            window=self.settings.window,
            shared=self.settings.shared,
            seed=self.settings.seed,
        )
        self._position = tf.Variable([0, 0], dtype=tf.int64, trainable=False)
        self._save_every_s = save_every_s
        self._manager = (
            tf.train.CheckpointManager(
                tf.train.Checkpoint(rows=model.table, position=self._position),
                str(checkpoints),
                max_to_keep=2,
            )
            if checkpoints
            else None
        )

    @property
    def stretch(self) -> int:
        """Tokens handed to a worker at a time."""
        return self._cutter.length

    @property
    def position(self) -> tuple[int, int]:
        """Epochs done, and tokens done of the next one (of those left by subsampling)."""
        epoch, tokens = self._position.numpy().tolist()
        return epoch, tokens

    def resume(self) -> bool:
        """Take up the newest checkpoint, if there is one. Call before ``run``."""
        return bool(self._manager and self._manager.restore_or_initialize())

    def run(self, report: Callable[[Figures], None]) -> None:
        """Train until all epochs are done; ``report`` is called about twice a second.

        Raises TrainingDiverged when the loss is not a number.
        """
        saved = time.monotonic()
        for part in self._rounds():
            begun = time.monotonic()
            loss, pairs = self._train(part)
            now = time.monotonic()
            report(self._figures(part, loss, pairs, now - begun))
            finished = part.end == part.of
            self._position.assign(
                [part.epoch + 1, 0] if finished else [part.epoch, part.end * self.stretch]
            )
            if finished or now - saved > self._save_every_s:
                self._save()
                saved = time.monotonic()

    def _rounds(self) -> Iterator[Round]:
        """What is left to do, in rounds of about half a second."""
        first, tokens = self.position
        start = tokens // self.stretch
        for epoch in range(first, self.settings.epochs):
            rng = np.random.default_rng([self.settings.seed, epoch])
            ids = subsample(self._ids, self._keep, rng)
            count = self._cutter.count(len(ids))
            stretches = self._cutter.cut(ids, self._negatives, epoch=epoch, start=start)
            size = 2 * self.model.workers
            while start < count:
                begun = time.monotonic()
                end = min(start + size, count)
                yield Round(epoch, start, end, count, [next(stretches) for _ in range(start, end)])
                size = _next_size(size, time.monotonic() - begun, self.model.workers)
                start = end
            start = 0

    def _train(self, part: Round) -> tuple[float, float]:
        """Have all stretches of the round trained; the summed loss, and the pairs."""
        results = []
        for stretch in part.stretches:
            rate = self.settings.rate_at(self._share(part, stretch.number))
            results.append(
                self._coordinator.schedule(
                    self.model.train, args=self.model.arguments(stretch, rate)
                )
            )
        self._coordinator.join()
        figures = np.array([result.fetch() for result in results], np.float64)
        loss, pairs = float(figures[:, 0].sum()), float(figures[:, 1].sum())
        if not math.isfinite(loss):
            raise TrainingDiverged(f"the loss became {loss} in epoch {part.epoch + 1}")
        return loss, pairs

    def _share(self, part: Round, number: int) -> float:
        """How much of the training is done before stretch ``number``: 0..1."""
        return (part.epoch + number / part.of) / self.settings.epochs

    def _figures(self, part: Round, loss: float, pairs: float, seconds: float) -> Figures:
        words = len(self._ids)
        return Figures(
            epoch=part.epoch + 1,
            epochs=self.settings.epochs,
            words=round(words * (part.epoch + part.end / part.of)),
            words_total=words * self.settings.epochs,
            loss=loss / max(pairs, 1.0),
            rate=self.settings.rate_at(self._share(part, part.end)),
            words_s=words * (part.end - part.begin) / part.of / seconds,
            pairs_s=pairs / seconds,
        )

    def _save(self) -> None:
        if self._manager:
            self._manager.save()


def _next_size(size: int, seconds: float, workers: int) -> int:
    """Stretches for the next round, so that it takes about half a second."""
    grown = size * min(2.0, 0.5 / max(seconds, 1e-3))
    return max(2 * workers, math.ceil(grown))
