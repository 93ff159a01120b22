"""The hyper-parameters of a training, with the talk's values as defaults."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_STRETCH = 32_768
"""Tokens. Longer ones miss the cache more often (a batch took 48 µs in stretches of 16,384 tokens
and 58 to 77 in 65,536) and save little more traffic."""


@dataclass(frozen=True)
class Settings:
    """What decides the result of a training, given its corpus.

    The first group means what it means in word2vec and gensim. The second decides how the work is
    cut up: ``stretch`` tokens go to a worker at a time, who trains them in batches of ``batch``
    tokens that share ``shared`` negative words, all drawn from ``pool`` words of the stretch.
    ``stretch`` 0 chooses by the corpus' length, ``shared`` 0 by ``negatives``.
    """

    dim: int = 128
    window: int = 1
    negatives: int = 64
    vocabulary: int = 50_000
    min_count: int = 5
    sample: float = 1e-3
    epochs: int = 1
    rate: float = 0.025
    least_rate: float = 0.0001
    seed: int = 1

    stretch: int = 0
    batch: int = 16
    shared: int = 0
    pool: int = 4096

    def __post_init__(self) -> None:
        for name in (
            "dim",
            "window",
            "negatives",
            "vocabulary",
            "epochs",
            "batch",
            "pool",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("stretch", "shared"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, not {getattr(self, name)}")
        if self.stretch % self.batch:
            raise ValueError(f"stretch must be a multiple of batch ({self.batch})")
        if not 0 < self.least_rate <= self.rate:
            raise ValueError("rates must be positive, and least_rate at most rate")

    @property
    def negatives_shared(self) -> int:
        """Negative words that the tokens of a batch share.

        With fewer than 32, what a batch is compared with is too much a matter of chance (seen on
        real texts); with more than 64 a batch takes longer, and nothing is better.
        """
        return self.shared or min(max(self.negatives, 32), 64)

    def stretch_for(self, tokens: int, workers: int) -> int:
        """Tokens handed to a worker at a time, for an epoch of ``tokens`` tokens.

        Long stretches cost fewer calls; but what all workers hold at once is trained against rows
        that do not know of each other, so it should stay a small part of an epoch.
        """
        if self.stretch:
            return self.stretch
        wanted = min(tokens // (workers * 16), LONGEST_STRETCH)
        return max(1, wanted // self.batch) * self.batch

    def rate_at(self, share: float) -> float:
        """The learning rate when ``share`` (0..1) of the training is done: it falls linearly."""
        return max(self.least_rate, self.rate + (self.least_rate - self.rate) * share)
