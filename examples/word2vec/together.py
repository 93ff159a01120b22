"""How the changes of workers that did not see each other add up.

A word's row is pulled toward its best place by a force that is strong along one direction, the
mean of the vectors it meets (all words share it: it sets how likely *any* two words are), and
much weaker along every other one (they tell words apart). Let a worker's stretch cover a share
1 - exp(-s) of the way there. P workers one after the other would cover 1 - exp(-P s); P at once,
added up, P (1 - exp(-s)): right where s is small, an overshoot that grows without bounds where it
is large. So each change is scaled by the quotient of the two, along the common direction and
across it by itself. Only frequent words are held back noticeably, and mostly along the common
direction. One factor for the whole row tames them just as well, but keeps words from being told
apart: in a simulation on speeches.txt, 0.22 of the middling words' twins were found with it and
0.73 with this (bench/quality.py says what twins are).

Owns: the factor. Leaves to others: the change itself (skipgram.py).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types

ACROSS = 0.1
"""Strength of the force across the common direction (a squared length; measured, not critical)."""


def hold_back(
    change: Tensor,
    shares: Tensor,
    met: Tensor,
    means: Tensor,
    *,
    steps: Tensor,
    workers: int,
) -> Tensor:
    """Scale the changes of rows, so that ``workers`` of them at once do what they should.

    ``change``: float32 [rows, dim]. ``shares``: float32 [rows], how likely a step is about the
    row. ``met``: int32 [rows], which kind of vectors the row meets. ``means``: float32 [kinds,
    dim], the mean of the vectors of each kind. ``steps``: the learning rate times the number of
    steps in a stretch.
    """
    lengths = tf.maximum(tf.reduce_sum(means * means, axis=1), 1e-12)
    exposure = steps * shares
    across = quotient(exposure * ACROSS, workers)
    along = quotient(exposure * tf.gather(lengths, met), workers)
    common = (
        tf.matmul(change, means, transpose_b=True) / lengths * tf.one_hot(met, lengths.shape[0])
    )
    common *= (along - across)[:, None]
    # Not a product of matrices: a sum of a few, which XLA does in one go with the rest.
    return across[:, None] * change + sum(
        common[:, kind, None] * means[kind] for kind in range(lengths.shape[0])
    )


def quotient(strength: Tensor, workers: int) -> Tensor:
    """(1 - exp(-P s)) / (P (1 - exp(-s))): 1 for small s, 1 / P for large ones."""
    strength = tf.maximum(strength, 1e-4)  # 0 / 0 below
    return (1.0 - tf.exp(-workers * strength)) / (workers * (1.0 - tf.exp(-strength)))
