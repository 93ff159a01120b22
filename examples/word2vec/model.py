"""The model on the cluster: rows in shards on the parameter servers, arithmetic in the workers.

All words live in one variable, float32 [words, 2 * dim]: a word's embedding and its context
vector side by side, so that one call a shard fetches both. A worker pulls the rows of a stretch
of text once, trains many small batches on its copy (skipgram.py), and pushes what changed.

Several workers do so at the same time without seeing each other's changes, so their pushes must
add up to about what they would have done one after the other (together.py).

Owns: the variable, its layout, pull and push, the worker's function. Leaves to others: what is
trained when (training.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import skipgram
import tensorflow as tf
import together
from sampling import Stretch, keep_probability
from settings import Settings

Tensor = Any  # TensorFlow ships no types

_GOLDEN = 0.6180339887498949


class Model:
    """The rows of all words, spread over the strategy's parameter servers.

    ``table`` is the variable (sharded if the strategy shards); rows are not in the order of the
    words: ``row_of[word]`` is a word's row, chosen so that any run of rows holds frequent and rare
    words alike and every shard carries the same load.
    """

    def __init__(
        self, strategy: Any, counts: NDArray[np.int64], settings: Settings, *, workers: int
    ) -> None:
        """Create the variable, filled as ``_initial`` says; ``workers`` will push at once."""
        self.settings = settings
        self.workers = workers
        self.words = len(counts)
        self.row_of = np.argsort(
            np.argsort(np.arange(self.words) * _GOLDEN % 1.0, kind="stable")
        ).astype(np.int32)
        initial = np.empty((self.words, 2 * settings.dim), np.float32)
        initial[self.row_of] = _initial(self.words, settings)
        with strategy.scope():
            self.table = tf.Variable(initial, name="rows", trainable=False)
        self._shares = self._shares_of(counts)
        self.train = tf.function(self._train)

    @property
    def shards(self) -> list[Any]:
        """The pieces of the table, one variable a parameter server, in the order of rows."""
        return list(getattr(self.table, "variables", [self.table]))

    def rows(self) -> NDArray[np.float32]:
        """All rows: float32 [words, 2 * dim], the most frequent word first."""
        return np.concatenate([shard.numpy() for shard in self.shards])[self.row_of]

    def embeddings(self) -> NDArray[np.float32]:
        """The word vectors: float32 [words, dim], the most frequent word first.

        Without what was added to all of them at the beginning (``_initial``): it says nothing
        about any word, and would make every cosine nearly 1.
        """
        return self.rows()[:, : self.settings.dim] - _apart(self.settings)

    def arguments(self, stretch: Stretch, rate: float) -> tuple[Any, ...]:
        """What ``train`` takes, from a stretch of word ids."""
        tokens = np.where(stretch.tokens < 0, -1, self.row_of[stretch.tokens])
        return (
            tf.constant(tokens, tf.int32),
            tf.constant(stretch.reach, tf.int32),
            tf.constant(self.row_of[stretch.negatives], tf.int32),
            tf.constant(rate, tf.float32),
        )

    def _train(self, tokens: Tensor, reach: Tensor, negatives: Tensor, rate: Tensor) -> Tensor:
        """Train one stretch, on a worker; returns [loss in nats, pairs], summed over it.

        Arguments are rows, not words; see ``skipgram.train`` for their shapes.
        """
        flat = tf.concat([tf.maximum(tokens, 0), tf.reshape(negatives, [-1])], axis=0)
        rows, local = tf.unique(flat)
        most = min(self.words, flat.shape[0])  # XLA wants a fixed size
        held = tf.shape(rows)[0]
        old = tf.pad(self._pull(rows), [[0, most - held], [0, 0]])
        old = tf.ensure_shape(old, [most, 2 * self.settings.dim])
        token_share, negative_share = (
            tf.ensure_shape(tf.pad(tf.gather(tf.constant(share), rows), [[0, most - held]]), [most])
            for share in self._shares  # constants of the graph, so they are sent once
        )
        move, figures = _improve(
            old,
            tf.where(tokens < 0, -1, local[: tokens.shape[0]]),
            reach,
            tf.reshape(local[tokens.shape[0] :], negatives.shape),
            rate,
            token_share,
            negative_share,
            settings=self.settings,
            workers=self.workers,
        )
        with tf.control_dependencies(self._push(rows, move[:held])):
            return tf.identity(figures)

    def _pull(self, rows: Tensor) -> Tensor:
        """The rows asked for, one call a shard: float32 [len(rows), 2 * dim]."""
        parts, places = self._by_shard(rows, tf.range(tf.shape(rows)[0]))
        values = [tf.gather(shard, part) for shard, part in zip(self.shards, parts, strict=True)]
        return tf.dynamic_stitch(places, values)

    def _push(self, rows: Tensor, move: Tensor) -> list[Any]:
        """Add ``move`` to the rows, one call a shard."""
        parts, moves = self._by_shard(rows, move)
        return [
            tf.raw_ops.ResourceScatterAdd(resource=shard.handle, indices=part, updates=change)
            for shard, part, change in zip(self.shards, parts, moves, strict=True)
        ]

    def _by_shard(self, rows: Tensor, values: Tensor) -> tuple[list[Any], list[Any]]:
        """Split rows by the shard that has them (as its own row numbers), and values alike."""
        sizes = [int(shard.shape[0]) for shard in self.shards]
        offsets = np.cumsum([0, *sizes[:-1]]).astype(np.int32)
        home = tf.searchsorted(tf.constant(offsets), rows, side="right") - 1
        own = rows - tf.gather(tf.constant(offsets), home)
        return (
            tf.dynamic_partition(own, home, len(sizes)),
            tf.dynamic_partition(values, home, len(sizes)),
        )

    def _shares_of(self, counts: NDArray[np.int64]) -> tuple[NDArray[np.float32], ...]:
        """How likely a token, and how likely a negative, is each row: float32 [words] each."""
        kept = counts * keep_probability(counts, self.settings.sample)
        shares = []
        for weight in (kept, counts**0.75):
            share = np.empty(self.words, np.float32)
            share[self.row_of] = weight / weight.sum()
            shares.append(share)
        return tuple(shares)


def _initial(words: int, settings: Settings) -> NDArray[np.float32]:
    """Rows to begin with: float32 [words, 2 * dim], random and seeded.

    Embeddings are as in gensim. Context vectors are random too, and larger: a word's first steps
    then already carry it to a place made of its neighbours, where words with the same neighbours
    meet. Both are moved along one direction, apart, until any two words score
    log(1 / negatives): where the force of one true neighbour and that of ``negatives`` others are
    in balance. Training would have to find that place first, in steps so long that several
    workers at once make it diverge.
    """
    rng = np.random.default_rng(settings.seed)
    apart = _apart(settings)
    embeddings = rng.uniform(-1, 1, (words, settings.dim)) / settings.dim + apart
    contexts = rng.uniform(-4, 4, (words, settings.dim)) / settings.dim - apart
    return np.concatenate([embeddings, contexts], axis=1).astype(np.float32)


def _apart(settings: Settings) -> np.float32:
    """What each number of an embedding is moved by at the beginning, up; of a context, down."""
    return np.float32(np.sqrt(np.log(max(settings.negatives, 2)) / settings.dim))


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _improve(
    old: Tensor,
    tokens: Tensor,
    reach: Tensor,
    negatives: Tensor,
    rate: Tensor,
    token_share: Tensor,
    negative_share: Tensor,
    *,
    settings: Settings,
    workers: int,
) -> tuple[Tensor, Tensor]:
    """What a stretch changes in the rows it touches, and [loss in nats, pairs]."""
    dim = settings.dim
    new, loss, pairs = skipgram.train(
        old,
        tokens,
        reach,
        negatives,
        rate,
        window=settings.window,
        samples=settings.negatives,
    )
    change = new - old
    steps = rate * reach.shape[0] * (settings.window + 1)
    words_move = together.hold_back(
        change[:, :dim],
        2.0 * token_share,
        _mean(old[:, dim:], negative_share),
        steps=steps,
        workers=workers,
    )
    contexts_move = together.hold_back(
        change[:, dim:],
        token_share + negative_share,
        _mean(old[:, :dim], token_share),
        steps=steps,
        workers=workers,
    )
    return tf.concat([words_move, contexts_move], axis=1), tf.stack([loss, pairs])


def _mean(vectors: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean: float32 [dim]."""
    return tf.linalg.matvec(vectors, weights, transpose_a=True) / tf.reduce_sum(weights)
