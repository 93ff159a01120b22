"""word2vec as the 2016 talk's notebook had it: one graph for the whole cluster, one session.

Variables lie on the parameter servers in turn, each worker computes the noise-contrastive loss of
its part of a batch of 128, and the master's session runs one step after another. Run as the master
of tenfold.yaml beside it; its results directory then holds vectors.npy,
a row a word.

Owns: graph and loop, as they were (TensorFlow 1 style, one line of words, no subsampling).
Leaves to others: words and quality (bench/train.py).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from numpy.typing import NDArray

import tenfold

BATCH = 128
RATE = 1.0
PATIENCE_MS = 60_000
"""How long one call of the session may take: a client whose server is gone waits in silence."""

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class Graph:
    """What the session needs: two inputs of BATCH word ids, one step, its loss, the result."""

    inputs: Any
    labels: Any
    step: Any
    loss: Any
    embeddings: Any


def build(words: int, dim: int, negatives: int, *, ps: int, workers: int, seed: int) -> Graph:
    """The graph over ``ps`` parameter servers and ``workers`` workers, in the default graph."""
    tf.set_random_seed(seed)
    with tf.device("/job:master/task:0"):
        inputs = tf.placeholder(tf.int32, [BATCH])
        labels = tf.placeholder(tf.int32, [BATCH, 1])
    with tf.device(tf.train.replica_device_setter(ps_tasks=ps)):
        embeddings = tf.Variable(tf.random_uniform([words, dim], -1.0, 1.0))
        weights = tf.Variable(tf.truncated_normal([words, dim], stddev=1.0 / dim**0.5))
        biases = tf.Variable(tf.zeros([words]))
    losses = []
    parts = zip(tf.split(inputs, workers), tf.split(labels, workers), strict=True)
    for worker, (mine, beside) in enumerate(parts):
        with tf.device(f"/job:worker/task:{worker}"):
            found = tf.nn.embedding_lookup(embeddings, mine)
            nce = tf.nn.nce_loss(weights, biases, beside, found, negatives, words)
            losses.append(tf.reduce_mean(nce))
    with tf.device("/job:master/task:0"):
        loss = tf.add_n(losses) / workers
    step = tf.train.GradientDescentOptimizer(RATE).minimize(loss, colocate_gradients_with_ops=True)
    return Graph(inputs, labels, step, loss, embeddings)


def batches(ids: Ids, window: int) -> Iterator[tuple[Ids, Ids]]:
    """Words and what stands beside them, int32 [BATCH] and [BATCH, 1], round and round.

    A word is paired with all its neighbours up to ``window`` away (`num_skips` = 2 · window).
    """
    beside = np.array([d for d in range(-window, window + 1) if d])
    each = -(-BATCH // len(beside))
    place = window
    while True:
        if place + each + window > len(ids):
            place = window
        centres = np.repeat(np.arange(place, place + each), len(beside))[:BATCH]
        near = centres + np.tile(beside, each)[:BATCH]
        yield ids[centres], ids[near][:, None]
        place += each


def main() -> int:
    """Exit code 0 after the last step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tokens", type=Path, help="word ids, as numpy saves them")
    for name, default in {"steps": 600, "dim": 128, "window": 1, "negatives": 64}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    ids = np.load(options.tokens)
    tf.logging.set_verbosity(tf.logging.ERROR)
    tf.disable_eager_execution()
    tf.disable_resource_variables()
    me = tenfold.task()
    graph = build(
        int(ids.max()) + 1,
        options.dim,
        options.negatives,
        ps=len(me.addresses["ps"]),
        workers=len(me.addresses["worker"]),
        seed=options.seed,
    )
    config = tf.ConfigProto(operation_timeout_in_ms=PATIENCE_MS)
    with tf.Session(serve(me.addresses), config=config) as session:
        session.run(tf.global_variables_initializer())
        loss = train(session, graph, batches(ids, options.window), options.steps)
        np.save(me.results / "vectors.npy", session.run(graph.embeddings))
    print(f"{options.steps} steps of {BATCH} pairs, loss {loss:.2f}")
    return 0


def serve(addresses: Mapping[str, Sequence[str]]) -> str:
    """Start the master's own server; its target, for a session on the whole cluster."""
    spec = {job: list(places) for job, places in addresses.items()}
    return str(tf.train.Server(spec, job_name="master", task_index=0).target)


def train(session: Any, graph: Graph, feed: Iterator[tuple[Ids, Ids]], steps: int) -> float:
    """One step after another; the last one's loss. The progress is told in pairs."""
    tenfold.progress(0, steps * BATCH, unit="pairs")
    loss = float("nan")
    for step, (inputs, labels) in zip(range(1, steps + 1), feed, strict=False):
        given = {graph.inputs: inputs, graph.labels: labels}
        _, loss = session.run([graph.step, graph.loss], given)
        tenfold.progress(step * BATCH, steps * BATCH, unit="pairs", loss=round(float(loss), 2))
    return float(loss)


if __name__ == "__main__":
    sys.exit(main())
