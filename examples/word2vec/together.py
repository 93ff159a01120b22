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
0.73 with this (bench/word2vec_quality.py says what twins are).

Owns: the factor. Leaves to others: the change itself (skipgram.py).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types

ACROSS = 0.1
"""Strength of the force across the common direction (a squared length; measured, not critical)."""


def hold_back(
    change: Tensor, shares: Tensor, mean: Tensor, *, steps: Tensor, workers: int
) -> Tensor:
    """Scale the changes of rows, so that ``workers`` of them at once do what they should.

    ``change``: float32 [rows, dim]. ``shares``: float32 [rows], how likely a step is about the
    row. ``mean``: float32 [dim], the mean of the vectors these rows meet. ``steps``: the learning
    rate times the number of steps in a stretch.
    """
    length = tf.maximum(tf.reduce_sum(mean * mean), 1e-12)
    along = tf.linalg.matvec(change, mean)[:, None] * (mean / length)
    across = change - along
    exposure = (steps * shares)[:, None]
    return across * quotient(exposure * ACROSS, workers) + along * quotient(
        exposure * length, workers
    )


def quotient(strength: Tensor, workers: int) -> Tensor:
    """(1 - exp(-P s)) / (P (1 - exp(-s))): 1 for small s, 1 / P for large ones."""
    strength = tf.maximum(strength, 1e-4)  # 0 / 0 below
    return tf.math.expm1(-workers * strength) / (workers * tf.math.expm1(-strength))
