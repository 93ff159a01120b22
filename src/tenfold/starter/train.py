"""A small training on the cluster: find the weights that made some noisy data.

The chief runs this file; the variables live in the ps tasks, and the workers do the steps.
Start it with `tenfold up`.
"""

import argparse

import tenfold
import tensorflow as tf

FEATURES = 1000
BATCH = 256
ROUND = 20  # steps in flight before their losses are looked at
SAVE_EVERY = 100


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps

    me = tenfold.task()
    strategy = tenfold.tensorflow.strategy()
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():
        weights = tf.Variable(tf.zeros([FEATURES, 1]), name="weights")
        done = tf.Variable(0, dtype=tf.int64, name="done")

    def step() -> tf.Tensor:
        """One batch, on whichever worker is free. It may run twice if a worker dies."""
        x = tf.random.normal([BATCH, FEATURES])
        wanted = tf.ones([FEATURES, 1])
        with tf.GradientTape() as tape:
            guess = tf.matmul(x, tf.convert_to_tensor(weights))
            loss = tf.reduce_mean((guess - tf.matmul(x, wanted)) ** 2) / FEATURES
        (gradient,) = tape.gradient(loss, [weights])
        weights.assign_sub(10.0 * gradient)
        return loss

    graph = tf.function(step)
    checkpoints = tf.train.CheckpointManager(
        tf.train.Checkpoint(weights=weights, done=done), str(me.checkpoints), max_to_keep=2
    )
    checkpoints.restore_or_initialize()
    summaries = tf.summary.create_file_writer(str(me.tensorboard / "train"))
    while (at := int(done.read_value())) < steps:
        losses = [coordinator.schedule(graph) for _ in range(min(ROUND, steps - at))]
        coordinator.join()
        loss = sum(float(each.fetch()) for each in losses) / len(losses)
        at += len(losses)
        done.assign(at)
        if at % SAVE_EVERY == 0:
            checkpoints.save()
        with summaries.as_default(step=at):
            tf.summary.scalar("loss", loss)
        tenfold.progress(at, steps, loss=loss)
        print(f"step {at} of {steps}: loss {loss:.6f}", flush=True)


if __name__ == "__main__":
    main()
