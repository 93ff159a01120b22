"""The arithmetic: skip-gram with negative sampling on the rows one worker holds.

A row is one vector, float32 [dim]: a word's embedding, or its context vector. Tokens are trained
in small batches, one after the other. The tokens of a batch share their negative words (Ji et al.
2016), and what they are compared with, their neighbours and the negatives, is one matrix: a step
is three matrix products, whatever the window. Each gradient is the same sum that word2vec.c takes
pair by pair, taken at the batch's start. Batches stay small because that is what keeps the sum
honest: a word that occurs often in a large batch would be moved many times from where it no longer
is.

Owns: the gradient and the loop over batches. Leaves to others: where rows come from (model.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types

LOOKED_AT = 8
"""Batches of a stretch whose loss is computed: all logarithms would cost a seventh of the time."""


class Batches(NamedTuple):
    """All batches of a stretch, told apart by the first axis.

    ``words``: int32 [batches, batch], the rows of the embeddings. ``targets``: int32 [batches,
    window + batch + window + shared], the rows of the context vectors: the neighbours', then the
    negatives'. ``true``: float32 [batches, batch, window + batch + window], 1 where a token and a
    neighbour make a pair. ``weight``: float32 [batches, batch, targets], how often a token and a
    target are compared.
    """

    words: Tensor
    targets: Tensor
    true: Tensor
    weight: Tensor


def batches(
    words: Tensor,
    contexts: Tensor,
    reach: Tensor,
    negatives: Tensor,
    *,
    window: int,
    samples: int,
) -> Batches:
    """Cut a stretch up; for the arguments see ``train``."""
    count = negatives.shape[0]
    batch = reach.shape[0] // count
    place = np.arange(batch)[:, None] + window
    distance = np.abs(np.arange(batch + 2 * window) - place)
    nearby = np.arange(count)[:, None] * batch + np.arange(batch + 2 * window)
    words = tf.reshape(words, [count, batch])
    contexts = tf.gather(contexts, nearby)
    live = (distance > 0) & (distance <= tf.reshape(reach, [count, batch, 1]))
    live &= (words >= 0)[:, :, None] & (contexts >= 0)[:, None, :]
    true = tf.cast(live, tf.float32)
    # A negative that happens to be the true neighbour is skipped, as word2vec.c does.
    same = tf.cast(contexts[:, :, None] == negatives[:, None, :], tf.float32)
    others = tf.reduce_sum(true, axis=2, keepdims=True) - tf.matmul(true, same)
    return Batches(
        words=tf.maximum(words, 0),
        targets=tf.maximum(tf.concat([contexts, negatives], axis=1), 0),
        true=true,
        weight=tf.concat([true, others * (samples / negatives.shape[1])], axis=2),
    )


def train(
    rows: Tensor,
    words: Tensor,
    contexts: Tensor,
    reach: Tensor,
    negatives: Tensor,
    rate: Tensor,
    *,
    window: int,
    samples: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Train every batch in turn; return the new rows, the loss and the number of pairs.

    ``rows``: float32 [n, dim]. ``words``: int32 [length], the rows of the tokens' embeddings, or
    -1 for no token. ``contexts``: int32 [window + length + window], the rows of their context
    vectors and their neighbours', or -1. ``reach``: int32 [length]. ``negatives``: int32
    [batches, shared], rows of context vectors; each stands for ``samples / shared`` negatives of
    every pair. The loss is in nats a pair, of the first batches, before they are trained.
    """
    cut = batches(words, contexts, reach, negatives, window=window, samples=samples)
    count = negatives.shape[0]

    def step(number: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        return number + 1, train_batch(rows, Batches(*(part[number] for part in cut)), rate)

    begin = (tf.constant(0), rows)
    _, new = tf.while_loop(lambda number, _: number < count, step, begin, maximum_iterations=count)
    loss = mean_loss(rows, Batches(*(part[:LOOKED_AT] for part in cut)))
    return new, loss, tf.reduce_sum(cut.true)


def train_batch(rows: Tensor, batch: Batches, rate: Tensor) -> Tensor:
    """One step of stochastic gradient descent: the new rows. ``batch`` lacks the first axis."""
    words = tf.gather(rows, batch.words)
    targets = tf.gather(rows, batch.targets)
    scores = tf.matmul(words, targets, transpose_b=True)
    pull = rate * (_widened(batch) - batch.weight * tf.sigmoid(scores))
    rows = tf.tensor_scatter_nd_add(rows, batch.words[:, None], tf.matmul(pull, targets))
    moves = tf.matmul(pull, words, transpose_a=True)
    return tf.tensor_scatter_nd_add(rows, batch.targets[:, None], moves)


def mean_loss(rows: Tensor, batches: Batches) -> Tensor:
    """Nats a pair."""
    words = tf.gather(rows, batches.words)
    targets = tf.gather(rows, batches.targets)
    scores = tf.matmul(words, targets, transpose_b=True)
    softplus = tf.maximum(scores, 0.0) + tf.math.log(1.0 + tf.exp(-tf.abs(scores)))
    loss = batches.weight * softplus - _widened(batches) * scores
    return tf.reduce_sum(loss) / tf.maximum(tf.reduce_sum(batches.true), 1.0)


def _widened(batches: Batches) -> Tensor:
    """``true`` for all targets: 0 for the negatives."""
    more = batches.weight.shape[-1] - batches.true.shape[-1]
    rank = len(batches.true.shape)
    return tf.pad(batches.true, [*[[0, 0]] * (rank - 1), [0, more]])
