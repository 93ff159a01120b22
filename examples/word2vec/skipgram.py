"""The arithmetic: skip-gram with negative sampling on the rows one worker holds.

A row is a word's embedding and its context vector side by side, float32 [2 * dim]. Tokens are
trained in small batches, one after the other. The tokens of a batch share their negative words
(Ji et al. 2016), which turns most of the work into three small matrix products; each gradient is
the same sum that word2vec.c takes pair by pair, taken at the batch's start. Batches stay small
because that is what keeps the sum honest: a word that occurs often in a large batch would be moved
many times from where it no longer is.

Owns: the gradient and the loop over batches. Leaves to others: where rows come from (model.py).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types


def train(
    rows: Tensor,
    tokens: Tensor,
    reach: Tensor,
    negatives: Tensor,
    rate: Tensor,
    *,
    window: int,
    samples: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Train every batch in turn; return the new rows, the summed loss (nats) and the pairs.

    ``rows``: float32 [n, 2 * dim]. ``tokens``: int32 [window + length + window], indices into
    ``rows`` or -1 for none. ``reach``: int32 [length]. ``negatives``: int32 [batches, shared],
    indices into ``rows``; each stands for ``samples / shared`` negatives of every pair.
    """
    length = tokens.shape[0] - 2 * window
    batches = negatives.shape[0]
    batch = length // batches

    def step(number: Tensor, rows: Tensor, loss: Tensor, pairs: Tensor) -> tuple[Tensor, ...]:
        begin = number * batch
        nearby = tf.slice(tokens, [begin], [batch + 2 * window])
        far = tf.slice(reach, [begin], [batch])
        rows, batch_loss, batch_pairs = train_batch(
            rows, nearby, far, negatives[number], rate, window=window, samples=samples
        )
        return number + 1, rows, loss + batch_loss, pairs + batch_pairs

    _, rows, loss, pairs = tf.while_loop(
        lambda number, *_: number < batches,
        step,
        (tf.constant(0), rows, tf.constant(0.0), tf.constant(0.0)),
        maximum_iterations=batches,
    )
    return rows, loss, pairs


def train_batch(
    rows: Tensor,
    nearby: Tensor,
    reach: Tensor,
    negatives: Tensor,
    rate: Tensor,
    *,
    window: int,
    samples: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of stochastic gradient descent on a batch of neighbouring tokens.

    ``nearby``: int32 [window + batch + window]. Returns (rows, loss in nats, pairs), the last two
    summed over the batch. Every token is gathered once; a neighbour at distance d is the same
    array, shifted by d.
    """
    dim = rows.shape[1] // 2
    batch = reach.shape[0]
    real = nearby >= 0
    index = tf.maximum(nearby, 0)
    around = tf.gather(rows, index)  # [window + batch + window, 2 * dim]
    contexts = around[:, dim:]
    words = around[window : window + batch, :dim]
    unlike = tf.gather(rows, negatives)[:, dim:]  # [shared, dim]

    loss = tf.constant(0.0)
    pairs = tf.constant(0.0)
    words_move = tf.zeros_like(words)
    contexts_move = tf.zeros_like(contexts)
    weight = tf.zeros([batch, negatives.shape[0]])
    for distance in (d for d in range(-window, window + 1) if d):
        there = slice(window + distance, window + distance + batch)
        live = real[window : window + batch] & real[there] & (reach >= abs(distance))
        alive = tf.cast(live, tf.float32)
        score = tf.reduce_sum(words * contexts[there], axis=1)
        pull = (alive * tf.sigmoid(-score))[:, None]
        words_move += pull * contexts[there]
        contexts_move += tf.pad(pull * words, [[window + distance, window - distance], [0, 0]])
        # A negative that happens to be the true neighbour is skipped, as word2vec.c does.
        weight += tf.where(index[there][:, None] == negatives[None], 0.0, alive[:, None])
        loss += tf.reduce_sum(alive * tf.nn.softplus(-score))
        pairs += tf.reduce_sum(alive)

    weight *= samples / negatives.shape[0]
    scores = tf.matmul(words, unlike, transpose_b=True)  # [batch, shared]
    push = weight * tf.sigmoid(scores)
    words_move -= tf.matmul(push, unlike)
    unlike_move = -tf.matmul(push, words, transpose_a=True)
    loss += tf.reduce_sum(weight * tf.nn.softplus(scores))

    centre = tf.pad(words_move, [[window, window], [0, 0]])
    rows = tf.tensor_scatter_nd_add(
        rows, index[:, None], rate * tf.concat([centre, contexts_move], axis=1)
    )
    rows = tf.tensor_scatter_nd_add(
        rows,
        negatives[:, None],
        rate * tf.concat([tf.zeros_like(unlike_move), unlike_move], axis=1),
    )
    return rows, loss, pairs
