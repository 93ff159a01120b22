"""What a training step sees: subsampled tokens, cut into stretches, and negative words.

Everything is drawn from generators seeded by (seed, epoch, stretch), so a training that is resumed
in the middle of an epoch sees exactly what it would have seen.

Owns: subsampling, the negative distribution, cutting. Leaves to others: arithmetic (model.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from settings import Settings


def keep_probability(counts: NDArray[np.int64], threshold: float) -> NDArray[np.float32]:
    """How likely an occurrence of each word is kept (Mikolov et al. 2013, as word2vec.c does it).

    ``threshold`` is a share of the text (1e-3); 0 keeps everything. Shape: that of ``counts``.
    """
    if threshold <= 0:
        return np.ones(len(counts), np.float32)
    share = counts / max(int(counts.sum()), 1)
    with np.errstate(divide="ignore"):
        keep = np.sqrt(threshold / share) + threshold / share
    return np.minimum(keep, 1.0).astype(np.float32)


def subsample(
    ids: NDArray[np.int32], keep: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.int32]:
    """Drop occurrences of frequent words at random; what remains moves together."""
    return ids[rng.random(len(ids), np.float32) < keep[ids]]


class Negatives:
    """Draws words in proportion to ``count ** power`` (0.75, as word2vec does)."""

    def __init__(self, counts: NDArray[np.int64], *, power: float = 0.75) -> None:
        share = np.cumsum(counts.astype(np.float64) ** power)
        share /= share[-1]
        # A table with ~100 slots a word makes a draw one lookup (20 times faster than bisection).
        slots = (np.arange(max(100 * len(counts), 1_000)) + 0.5) / max(100 * len(counts), 1_000)
        self._table = np.searchsorted(share, slots).astype(np.int32)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.int32]:
        """Independent draws: word ids of the shape asked for."""
        return self._table[rng.integers(0, len(self._table), shape)]


@dataclass(frozen=True)
class Stretch:
    """One unit of work for a worker: ``length`` tokens in reading order, and their negatives.

    ``tokens``: int32 [window + length + window]; the ends are the neighbours' tokens, or -1 where
    the text begins or ends. ``reach``: int32 [length], how far each token looks to both sides
    (1..window; word2vec draws it per token, so near words count more). ``negatives``: int32
    [batches, shared], the negative words each batch of tokens shares. ``words``: tokens that are
    real, without padding.
    """

    number: int
    tokens: NDArray[np.int32]
    reach: NDArray[np.int32]
    negatives: NDArray[np.int32]
    words: int

    @property
    def pairs(self) -> int:
        """(word, neighbour) pairs in it: as many as a worker trains."""
        length = len(self.reach)
        window = (len(self.tokens) - length) // 2
        real = self.tokens >= 0
        words = real[window : window + length]
        pairs = 0
        for far in (*range(-window, 0), *range(1, window + 1)):
            neighbours = real[window + far : window + far + length]
            pairs += int((words & neighbours & (self.reach >= abs(far))).sum())
        return pairs


@dataclass(frozen=True)
class Cutter:
    """Cuts an epoch's tokens into stretches of ``length`` tokens, the last one padded with -1.

    ``batch``, ``shared``, ``pool``: see ``settings.Settings``.
    """

    length: int
    batch: int
    window: int
    shared: int
    pool: int
    seed: int

    @classmethod
    def of(cls, settings: Settings, length: int) -> Cutter:
        """As the settings say, for stretches of ``length`` tokens."""
        return cls(
            length=length,
            batch=settings.batch,
            window=settings.window,
            shared=settings.negatives_shared,
            pool=settings.pool,
            seed=settings.seed,
        )

    def count(self, tokens: int) -> int:
        """Stretches that ``tokens`` tokens make."""
        return -(-tokens // self.length)

    def cut(
        self, ids: NDArray[np.int32], negatives: Negatives, *, epoch: int, start: int = 0
    ) -> Iterator[Stretch]:
        """The epoch's stretches in order, from number ``start`` on; the same ones every time."""
        count = self.count(len(ids))
        padded = np.full(count * self.length + 2 * self.window, -1, np.int32)
        padded[self.window : self.window + len(ids)] = ids
        for number in range(start, count):
            rng = np.random.default_rng([self.seed, epoch, number])
            begin = number * self.length
            yield Stretch(
                number=number,
                tokens=padded[begin : begin + self.length + 2 * self.window],
                reach=rng.integers(1, self.window + 1, self.length, np.int32),
                negatives=self._negatives(negatives, rng),
                words=min(self.length, len(ids) - begin),
            )

    def _negatives(self, negatives: Negatives, rng: np.random.Generator) -> NDArray[np.int32]:
        """Words for the whole stretch, and from those each batch's: int32 [batches, shared].

        Every word comes as often as if it were drawn for the batch; but a stretch touches fewer.
        """
        shape = (self.length // self.batch, self.shared)
        pool = negatives.draw((self.pool,), rng)
        return pool[rng.integers(0, len(pool), shape)]
