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
SAVE_EVERY_S = 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps

    me = tenfold.task()
    strategy = tenfold.tensorflow.strategy()
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():
        weights = tf.Variable(tf.zeros([FEATURES, 1]), name="weights")

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
    saved = tenfold.checkpoint.tensorflow(
        tf.train.Checkpoint(weights=weights), every_s=SAVE_EVERY_S
    )
    begun = saved.restore()  # what a run that broke off has left
    at = begun.step if begun else 0
    summaries = tf.summary.create_file_writer(str(me.tensorboard / "train"))
    while at < steps:
        losses = [coordinator.schedule(graph) for _ in range(min(ROUND, steps - at))]
        coordinator.join()
        loss = sum(float(each.fetch()) for each in losses) / len(losses)
        at += len(losses)
        if saved.due() or at == steps:
            saved.save(at)
        with summaries.as_default(step=at):
            tf.summary.scalar("loss", loss)
        tenfold.progress(at, steps, loss=loss)
        print(f"step {at} of {steps}: loss {loss:.6f}", flush=True)


if __name__ == "__main__":
    main()
