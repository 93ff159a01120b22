"""Training to the end: stretches to workers, progress, summaries, checkpoints, resume.

Owns: the order of work, what is reported, and when the state is saved. Leaves to others: the
model (model.py) and what a stretch is (sampling.py).

The chief cuts the corpus into stretches and hands each to whichever worker is free, through a
ClusterCoordinator; as many as may be trained at once, and the next as soon as one is done, so that
no worker waits for another. A worker that dies loses nothing: its stretch goes to another one. What
it had pushed of the stretch by then stays pushed, so that one stretch may be trained twice.

A checkpoint is made when no stretch is at a worker: its rows are what all stretches before its
position have made of them. Going on from there trains the later ones on those rows alone.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tenfold
import tensorflow as tf
from model import Model
from sampling import Cutter, Negatives, Stretch, keep_probability, subsample
from settings import Settings

REPORT_EVERY_S = 0.5
REST_S = 3.0
"""At least so long between two checkpoints at epochs' ends: all workers wait for each."""


class TrainingDiverged(Exception):
    """The loss is no longer a number; the last checkpoint is from before that."""


class NothingToTrain(Exception):
    """Subsampling has left no two words beside each other, in any epoch."""


@dataclass(frozen=True)
class Figures:
    """How far a training is, and how it goes.

    ``words`` counts the corpus' words gone by, in all epochs together (subsampled ones included);
    ``loss`` is in nats a pair, ``words_s`` and ``pairs_s`` a second, since the last report.
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
class Place:
    """A stretch's place in the training: the ``number``-th ``of`` an epoch, counted from 0."""

    epoch: int
    number: int
    of: int

    @property
    def begin(self) -> float:
        """Epochs done before it."""
        return self.epoch + self.number / self.of

    @property
    def end(self) -> float:
        """Epochs done after it."""
        return self.epoch + (self.number + 1) / self.of

    @property
    def last(self) -> bool:
        """Whether the epoch ends with it."""
        return self.number + 1 == self.of


class Training:
    """One training of a model on a corpus. ``run`` may be called once.

    ``coordinator`` is a ClusterCoordinator; ``ids`` the corpus, int32, as vocabulary.build gives
    it. With ``checkpoints``, the state is saved there every ``save_every_s`` seconds, at the end,
    and at the end of an epoch if ``REST_S`` have passed. A state found there is taken up again:
    the rows and the position in the corpus are in one checkpoint, so they always fit each other.
    On a full disk the training goes on, and tries again when it would save next.
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
        self._cutter = Cutter.of(self.settings, model.stretch)
        self.pairs = 0
        """(word, neighbour) pairs that ``run`` has trained."""
        self._waiting: deque[tuple[Place, Stretch, Any]] = deque()
        self._done: list[tuple[Place, float, float]] = []  # since the last report
        self.position = (0, 0)
        """Epochs done, and tokens done of the next one (of those left by subsampling)."""
        self._saved = (
            tenfold.checkpoint.tensorflow(
                tf.train.Checkpoint(rows=model.table),
                checkpoints.name,
                place=checkpoints.parent,
                every_s=save_every_s,
                keep=2,
            )
            if checkpoints
            else None
        )

    @property
    def stretch(self) -> int:
        """Tokens handed to a worker at a time."""
        return self._cutter.length

    def resume(self) -> bool:
        """Take up the newest whole checkpoint, if there is one. Call before ``run``."""
        found = self._saved.restore() if self._saved else None
        if found is not None:
            self.position = found.position["epochs"], found.position["tokens"]
        return found is not None

    def run(self, report: Callable[[Figures], None]) -> None:
        """Train until all epochs are done; ``report`` is called about twice a second.

        Raises TrainingDiverged when the loss is not a number, and NothingToTrain.
        """
        left = self.position[0] < self.settings.epochs
        rested = told = time.monotonic()
        leave = 0  # the first alone: what its worker has compiled, the others load
        for place, stretch in self._work():
            function, arguments = self.model.call(stretch, self._rate(place.begin))
            scheduled = self._coordinator.schedule(function, args=arguments)
            self._waiting.append((place, stretch, scheduled))
            self._collect(leave=leave)
            leave = self.model.workers
            now = time.monotonic()
            if self._is_time_to_save(place, now - rested):
                self._collect(leave=0)
                self._save(place)
                rested = time.monotonic()
            if self._done and (now - told > REPORT_EVERY_S or not self._waiting):
                report(self._figures(now - told))
                told = now
        self._collect(leave=0)
        if left and not self.pairs:
            raise NothingToTrain
        if self._done:
            report(self._figures(time.monotonic() - told))

    def _work(self) -> Iterator[tuple[Place, Stretch]]:
        """What is left to do, in order."""
        first, tokens = self.position
        start = tokens // self.stretch
        for epoch in range(first, self.settings.epochs):
            rng = np.random.default_rng([self.settings.seed, epoch])
            ids = subsample(self._ids, self._keep, rng)
            count = self._cutter.count(len(ids))
            for stretch in self._cutter.cut(ids, self._negatives, epoch=epoch, start=start):
                yield Place(epoch, stretch.number, count), stretch
            start = 0

    def _collect(self, *, leave: int) -> None:
        """Wait until at most ``leave`` stretches are still to be trained."""
        while len(self._waiting) > leave:
            place, stretch, scheduled = self._waiting.popleft()
            figures = _fetch(scheduled)
            if figures is None:
                self.pairs += stretch.pairs
                continue
            loss, pairs = figures
            if not math.isfinite(loss):
                raise TrainingDiverged(f"the loss became {loss} in epoch {place.epoch + 1}")
            self.pairs += round(pairs)
            self._done.append((place, loss, pairs))

    def _rate(self, epochs: float) -> float:
        """The learning rate when so many epochs are done."""
        return self.settings.rate_at(epochs / self.settings.epochs)

    def _figures(self, seconds: float) -> Figures:
        """Of all stretches done since the last time."""
        first, last = self._done[0][0], self._done[-1][0]
        pairs = sum(pairs for _, _, pairs in self._done)
        loss = sum(loss * pairs for _, loss, pairs in self._done)
        self._done.clear()
        words = len(self._ids)
        return Figures(
            epoch=last.epoch + 1,
            epochs=self.settings.epochs,
            words=round(words * last.end),
            words_total=words * self.settings.epochs,
            loss=loss / max(pairs, 1.0),
            rate=self._rate(last.end),
            words_s=words * (last.end - first.begin) / seconds,
            pairs_s=pairs / seconds,
        )

    def _is_time_to_save(self, place: Place, since_s: float) -> bool:
        if not self._saved:
            return False
        end = place.last and place.epoch + 1 == self.settings.epochs
        return end or self._saved.due() or (place.last and since_s > REST_S)

    def _save(self, place: Place) -> None:
        """Save the state after the stretch at ``place``; nothing may be waiting."""
        if place.last:
            self.position = (place.epoch + 1, 0)
        else:
            self.position = (place.epoch, (place.number + 1) * self.stretch)
        epochs, tokens = self.position
        if self._saved:
            words = round(len(self._ids) * place.end)
            self._saved.save(words, {"epochs": epochs, "tokens": tokens})


def _fetch(scheduled: Any) -> tuple[float, float] | None:
    """Loss and pairs of a stretch, when it is trained; None if they died with its worker.

    They stay with the worker until they are fetched (seen on TensorFlow 2.21: RemoteValue), and the
    coordinator, which would have given the stretch to another worker before, does not do so after.
    """
    try:
        loss, pairs = scheduled.fetch().tolist()
    except tf.errors.OpError as error:
        if "/job:worker/" in error.message and "/job:ps/" not in error.message:
            return None
        raise
    return loss, pairs
