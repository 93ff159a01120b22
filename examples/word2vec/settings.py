"""The hyper-parameters of a training, with the talk's values as defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What decides the result of a training, given its corpus.

    The first group means what it means in word2vec and gensim. The second decides how the work is
    cut up: ``stretch`` tokens go to a worker at a time, who trains them in batches of ``batch``
    tokens that share ``shared`` negative words. ``stretch`` 0 chooses by the corpus' length.
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
    batch: int = 32
    shared: int = 64

    def __post_init__(self) -> None:
        for name in ("dim", "window", "negatives", "vocabulary", "epochs", "batch", "shared"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.stretch % self.batch:
            raise ValueError(f"stretch must be a multiple of batch ({self.batch})")
        if not 0 < self.least_rate <= self.rate:
            raise ValueError("rates must be positive, and least_rate at most rate")

    def stretch_for(self, tokens: int, workers: int) -> int:
        """Tokens handed to a worker at a time, for an epoch of ``tokens`` tokens.

        Long stretches cost fewer calls; but what all workers hold at once is trained against rows
        that do not know of each other, so it should stay a small part of an epoch.
        """
        if self.stretch:
            return self.stretch
        wanted = tokens // (workers * 40)
        return max(1, min(wanted // self.batch, max(1, 4096 // self.batch))) * self.batch

    def rate_at(self, share: float) -> float:
        """The learning rate when ``share`` (0..1) of the training is done: it falls linearly."""
        return max(self.least_rate, self.rate + (self.least_rate - self.rate) * share)
