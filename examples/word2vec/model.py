"""The model on the cluster: rows in shards on the parameter servers, arithmetic in the workers.

All words live in one variable, float32 [2 * words, dim]: a word's embedding and, right behind it,
its context vector. A worker pulls the rows that a stretch of text touches, in one call a server
(of a negative word only the context vector), trains many small batches on its copy (skipgram.py),
and pushes what changed. What travels is float16: half the bytes, and nothing adds up, because
what rounding changes in a pull is not part of what is pushed.

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
_WIRE = tf.float16
_CONTEXT = 1  # the kind of a row: its number modulo 2


class Model:
    """The rows of all words, spread over the strategy's parameter servers.

    ``table`` is the variable (sharded if the strategy shards); its rows are not in the order of
    the words: the embedding of a word is row ``2 * row_of[word]``, chosen so that any run of rows
    holds frequent and rare words alike and every shard carries the same load. ``stretch`` is the
    number of tokens that ``call`` takes.
    """

    def __init__(
        self,
        strategy: Any,
        counts: NDArray[np.int64],
        settings: Settings,
        *,
        workers: int,
    ) -> None:
        """Create the variable, filled as ``_initial`` says; ``workers`` will push at once."""
        self.settings = settings
        self.workers = workers
        self.words = len(counts)
        self.row_of = np.argsort(
            np.argsort(np.arange(self.words) * _GOLDEN % 1.0, kind="stable")
        ).astype(np.int32)
        kept = counts * keep_probability(counts, settings.sample)
        self.stretch = settings.stretch_for(int(kept.sum()), workers)
        self._token_share = self._by_row(np.stack([kept, kept], axis=1) / kept.sum())
        drawn = counts**0.75 / (counts**0.75).sum()
        self._negative_share = self._by_row(np.stack([np.zeros(self.words), drawn], axis=1))
        with strategy.scope():
            self.table = tf.Variable(
                self._by_row(_initial(self.words, settings)),
                name="rows",
                trainable=False,
            )
        self._usual, self._most = self._rooms()
        self._train_usual = tf.function(
            lambda packed: self._train(packed, self._usual), autograph=False
        )
        self._train_most = tf.function(
            lambda packed: self._train(packed, self._most), autograph=False
        )

    @property
    def shards(self) -> list[Any]:
        """The pieces of the table, one variable a parameter server, in the order of rows."""
        return list(getattr(self.table, "variables", [self.table]))

    def rows(self) -> NDArray[np.float32]:
        """All rows: float32 [words, 2, dim], the most frequent word first."""
        rows = np.concatenate([shard.numpy() for shard in self.shards])
        return rows.reshape(self.words, 2, -1)[self.row_of]

    def embeddings(self) -> NDArray[np.float32]:
        """The word vectors: float32 [words, dim], the most frequent word first.

        Without what was added to all of them at the beginning (``_initial``): it says nothing
        about any word, and would make every cosine nearly 1.
        """
        return self.rows()[:, 0] - _apart(self.settings)

    def call(self, stretch: Stretch, rate: float) -> tuple[Any, tuple[Tensor]]:
        """The function that trains a stretch of word ids, and its arguments: one, as each costs.

        Called on a worker, it returns float32 [2]: the loss in nats a pair, and the pairs. The
        loss is that of ``skipgram.train``.
        """
        tokens = np.where(stretch.tokens < 0, -1, self.row_of[stretch.tokens])
        negatives = self.row_of[stretch.negatives].ravel()
        packed = (
            tokens,
            stretch.reach,
            negatives,
            np.array([rate], np.float32).view(np.int32),
        )
        words = np.bincount(np.maximum(tokens, 0), minlength=self.words) > 0
        contexts = words | (np.bincount(negatives, minlength=self.words) > 0)
        usual = words.sum() + contexts.sum() <= self._usual
        function = self._train_usual if usual else self._train_most
        return function, (tf.constant(np.concatenate(packed)),)

    def _train(self, packed: Tensor, room: int) -> Tensor:
        """What ``call`` says, for a stretch that touches at most ``room`` rows."""
        tokens, reach, negatives, rate = self._unpacked(packed)
        window = self.settings.window
        centres = tokens[window : window + self.stretch]
        rows, (words, contexts, negative_rows) = self._wanted(
            2 * centres, 2 * tokens + _CONTEXT, 2 * tf.reshape(negatives, [-1]) + _CONTEXT
        )
        sizes = self._sizes(rows)
        move, figures = self._improve(
            rows,
            self._pull(rows, sizes, room),
            tf.where(centres < 0, -1, words),
            tf.where(tokens < 0, -1, contexts),
            reach,
            tf.reshape(negative_rows, negatives.shape),
            rate,
        )
        with tf.control_dependencies(self._push(rows, sizes, move)):
            return tf.identity(figures)

    def _unpacked(self, packed: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Tokens, reach and negatives as in a ``Stretch``, by place in the table, and the rate."""
        length, shared = self.stretch, self.settings.negatives_shared
        batches = length // self.settings.batch
        sizes = [length + 2 * self.settings.window, length, batches * shared, 1]
        tokens, reach, negatives, rate = tf.split(packed, sizes)
        return (
            tokens,
            reach,
            tf.reshape(negatives, [batches, shared]),
            tf.bitcast(rate[0], tf.float32),
        )

    def _wanted(self, *ids: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The rows that occur in any of ``ids``, in order, and where among them each id is.

        Row 0 is also what stands for a negative id, which means none.
        """
        flat = tf.maximum(tf.concat(ids, axis=0), 0)
        most = 2 * self.words
        occurs = tf.math.bincount(flat, minlength=most, maxlength=most) > 0
        place = tf.cumsum(tf.cast(occurs, tf.int32)) - 1
        lengths = [part.shape[0] for part in ids]
        rows = tf.cast(tf.where(occurs)[:, 0], tf.int32)
        return rows, tf.split(tf.gather(place, flat), lengths)

    def _rooms(self) -> tuple[int, int]:
        """Rows to make room for, usually, and at most. XLA wants a fixed number.

        Usually: a twelfth more than are expected if tokens come independently; as words come in
        bunches, a stretch of real text touches fewer.
        """
        shared = self.settings.negatives_shared
        negatives = min(self.settings.pool, self.stretch // self.settings.batch * shared)
        drawn = self.stretch * self._token_share + negatives * self._negative_share
        tokens = self.stretch + 2 * self.settings.window
        most = min(2 * self.words, self.stretch + tokens + negatives)
        return min(most, int(13 / 12 * -np.expm1(-drawn).sum()) + 64), most

    def _improve(self, rows: Tensor, old: Tensor, *stretch: Tensor) -> tuple[Tensor, Tensor]:
        """How ``rows`` change, float16 [len(rows), dim], and [loss in nats a pair, pairs]."""
        room = old.shape[0]
        held = tf.shape(rows)[0]
        described = [
            tf.ensure_shape(tf.pad(part, [[0, room - held]]), [room])
            for part in (
                rows % 2,
                # Constants of the graph, so they are sent once.
                tf.gather(tf.constant(self._token_share), rows),
                tf.gather(tf.constant(self._negative_share), rows),
            )
        ]
        move, figures = _improve(
            old, *described, *stretch, settings=self.settings, workers=self.workers
        )
        return move[:held], figures

    def _sizes(self, rows: Tensor) -> Tensor:
        """How many of ``rows``, which are in order, each shard has: int32 [shards]."""
        ends = np.cumsum([int(shard.shape[0]) for shard in self.shards]).astype(np.int32)
        places = tf.searchsorted(rows, tf.constant(ends))
        return places - tf.concat([[0], places[:-1]], axis=0)

    def _pull(self, rows: Tensor, sizes: Tensor, room: int) -> Tensor:
        """The rows asked for, then zeros up to the room there is: float16 [room, dim]."""
        values = []
        for shard, part in self._parts(rows, sizes):
            with tf.device(shard.device):
                values.append(tf.cast(tf.gather(shard, part), _WIRE))
        values.append(tf.zeros([room - tf.shape(rows)[0], self.settings.dim], _WIRE))
        return tf.ensure_shape(tf.concat(values, axis=0), [room, self.settings.dim])

    def _push(self, rows: Tensor, sizes: Tensor, move: Tensor) -> list[Any]:
        """Add ``move`` to the rows, one call a shard."""
        moves = tf.split(move, sizes, num=len(self.shards))
        pushes = []
        for (shard, part), change in zip(self._parts(rows, sizes), moves, strict=True):
            with tf.device(shard.device):
                pushes.append(
                    tf.raw_ops.ResourceScatterAdd(
                        resource=shard.handle,
                        indices=part,
                        updates=tf.cast(change, tf.float32),
                    )
                )
        return pushes

    def _parts(self, rows: Tensor, sizes: Tensor) -> list[tuple[Any, Tensor]]:
        """Each shard, and which of ``rows`` it has, as its own row numbers."""
        parts, begin = [], 0
        for shard, part in zip(
            self.shards, tf.split(rows, sizes, num=len(self.shards)), strict=True
        ):
            parts.append((shard, part - begin))
            begin += int(shard.shape[0])
        return parts

    def _by_row(self, words: NDArray[Any]) -> NDArray[np.float32]:
        """Something of each word's embedding and context, [words, 2, …], in the order of rows."""
        rows = np.empty((2 * self.words, *words.shape[2:]), np.float32)
        rows.reshape(words.shape)[self.row_of] = words
        return rows


def _initial(words: int, settings: Settings) -> NDArray[np.float32]:
    """Rows to begin with: float32 [words, 2, dim], random and seeded.

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
    return np.stack([embeddings, contexts], axis=1).astype(np.float32)


def _apart(settings: Settings) -> np.float32:
    """What each number of an embedding is moved by at the beginning, up; of a context, down."""
    return np.float32(np.sqrt(np.log(max(settings.negatives, 2)) / settings.dim))


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def _improve(
    old: Tensor,
    kind: Tensor,
    token_share: Tensor,
    negative_share: Tensor,
    words: Tensor,
    contexts: Tensor,
    reach: Tensor,
    negatives: Tensor,
    rate: Tensor,
    *,
    settings: Settings,
    workers: int,
) -> tuple[Tensor, Tensor]:
    """What a stretch changes in the rows it touches (float16), and [loss in nats a pair, pairs].

    ``kind``, ``token_share``, ``negative_share``: [rows], 0 for an embedding and 1 for a context;
    how likely a token, and how likely a negative, is the row's word (0 for an embedding).
    """
    old = tf.cast(old, tf.float32)
    new, loss, pairs = skipgram.train(
        old,
        words,
        contexts,
        reach,
        negatives,
        rate,
        window=settings.window,
        samples=settings.negatives,
    )
    weights = tf.where(kind == _CONTEXT, negative_share, token_share)
    by_kind = tf.one_hot(kind, 2) * weights[:, None]
    means = tf.matmul(by_kind, old, transpose_a=True) / tf.reduce_sum(by_kind, axis=0)[:, None]
    move = together.hold_back(
        new - old,
        token_share * tf.cast(2 - kind, tf.float32) + negative_share,
        1 - kind,  # an embedding meets contexts, and the other way round
        means,
        steps=rate * reach.shape[0] * (settings.window + 1),
        workers=workers,
    )
    return tf.cast(move, _WIRE), tf.stack([loss, pairs])
