"""A small training on parameter servers, for ever; nothing of tenfold in it, only TF_CONFIG.

    small_training.py RECORD LINES

Appends `UNIX_TIME STEPS` to the file RECORD after each round, and prints LINES lines a round.
"""

import sys
import time
from pathlib import Path

import tensorflow as tf

FEATURES, BATCH, ROUND = 4_000, 64, 20


def main() -> None:
    """Find the weights that made some noisy data."""
    record, lines = Path(sys.argv[1]), int(sys.argv[2])
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    strategy = tf.distribute.ParameterServerStrategy(resolver)
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():
        weights = tf.Variable(tf.zeros([FEATURES, 1]))

    def step() -> tf.Tensor:
        x = tf.random.normal([BATCH, FEATURES])
        with tf.GradientTape() as tape:
            guess = tf.matmul(x, tf.convert_to_tensor(weights))
            loss = tf.reduce_mean((guess - tf.reduce_sum(x, axis=1, keepdims=True)) ** 2)
        (gradient,) = tape.gradient(loss, [weights])
        weights.assign_sub(1e-3 * gradient)
        return loss

    graph = tf.function(step)
    steps = 0
    with record.open("a", buffering=1, encoding="ascii") as told:
        while True:
            results = [coordinator.schedule(graph) for _ in range(ROUND)]
            coordinator.join()
            loss = float(results[-1].fetch())
            steps += ROUND
            told.write(f"{time.time():.6f} {steps}\n")
            for line in range(lines):
                print(f"step {steps}, line {line} of {lines}: loss {loss:.6f}")


if __name__ == "__main__":
    main()
