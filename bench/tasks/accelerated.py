"""A training whose computation is done elsewhere: the chief of `scaling.py`'s clusters.

    accelerated.py --seconds S --mib M --steps N

Real: the parameters in the ps tasks, pulled by a worker before each step and updated after it,
over gRPC; the ClusterCoordinator that hands out the steps. Simulated: what lies between, S seconds
in which a worker uses no processor, as if it waited for an accelerator. Prints one line of JSON:
`{steps, seconds, updates, moved, network_bytes, cpu_seconds}`; `updates` is by how much a counter
in a ps went up, `moved` the share of the way that the parameters went to where the updates push
them.
"""

import argparse
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import psutil

import tenfold
import tensorflow as tf

RATE = 0.01


def away(value: tf.Tensor, seconds: float) -> tf.Tensor:
    """`value`, `seconds` later; a sleep inside the graph, of the worker that runs it."""
    slow = tf.raw_ops.SleepDataset(
        input_dataset=tf.data.experimental.to_variant(tf.data.Dataset.from_tensors(value)),
        sleep_microseconds=tf.constant(round(seconds * 1e6), tf.int64),
        output_types=[value.dtype],
        output_shapes=[value.shape],
    )
    spec = tf.TensorSpec(value.shape, value.dtype)
    return tf.data.experimental.from_variant(slow, spec).take(1).get_single_element()


def network_bytes() -> int:
    """What went over this network's loopback so far; each byte once."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "lo":
            return int(counts.split()[0])
    return 0


def cpu_seconds() -> float:
    """Processor time of all processes in sight: the run's, where it has a namespace."""
    total = 0.0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def measure(coordinator: Any, graph: Any, steps: int) -> dict[str, float]:
    """Have so many steps done; what it took."""
    before = time.monotonic(), network_bytes(), cpu_seconds()
    for _ in range(steps):
        coordinator.schedule(graph)
    coordinator.join()
    after = time.monotonic(), network_bytes(), cpu_seconds()
    took = [end - start for start, end in zip(before, after, strict=True)]
    return dict(zip(("seconds", "network_bytes", "cpu_seconds"), took, strict=True))


def main() -> None:
    """Train, and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--mib", type=float, required=True)
    parser.add_argument("--steps", type=int, required=True, help="for each worker")
    options = parser.parse_args()
    strategy = tenfold.tensorflow.strategy()
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():
        weights = tf.Variable(tf.zeros([round(options.mib * 2**20 / 4)]))
        updates = tf.Variable(0, dtype=tf.int64)
    shards = list(getattr(weights, "variables", [weights]))

    def step() -> None:
        pulled = [shard.read_value() for shard in shards]
        total = away(tf.add_n([tf.reduce_sum(piece) for piece in pulled]), options.seconds)
        with tf.control_dependencies([total]):
            for shard, piece in zip(shards, pulled, strict=True):
                shard.assign_sub(RATE * (piece - 1.0))
            updates.assign_add(1)

    graph = tf.function(step)
    workers = len(tenfold.task().addresses["worker"])
    measure(coordinator, graph, 2 * workers)
    before = int(updates.read_value())
    steps = options.steps * workers
    took = measure(coordinator, graph, steps)
    moved = float(tf.reduce_mean(shards[0]))
    done = int(updates.read_value()) - before
    print(json.dumps({"steps": steps, **took, "updates": done, "moved": moved}), flush=True)


if __name__ == "__main__":
    main()
