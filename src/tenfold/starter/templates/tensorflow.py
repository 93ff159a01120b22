"""Train a small linear model on the cluster.

The chief runs this file. The ps tasks hold the variables, and the workers compute the steps.
Start the training with `tenfold up`.
"""

import argparse

import tenfold
import tensorflow as tf

FEATURES = 1000
BATCH = 256
ROUND = 20  # steps that are scheduled before their losses are read
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
        offset = tf.Variable(tf.zeros([1]), name="offset")  # on the other parameter server

    def step() -> tf.Tensor:
        """Train on one batch. Any free worker runs it, and twice if the first worker dies."""
        x = tf.random.normal([BATCH, FEATURES])
        wanted = tf.ones([FEATURES, 1])
        with tf.GradientTape() as tape:
            guess = tf.matmul(x, tf.convert_to_tensor(weights)) + tf.convert_to_tensor(offset)
            loss = tf.reduce_mean((guess - tf.matmul(x, wanted) - 1.0) ** 2) / FEATURES
        gradients = tape.gradient(loss, [weights, offset])
        for variable, gradient in zip([weights, offset], gradients, strict=True):
            variable.assign_sub(10.0 * gradient)
        return loss

    graph = tf.function(step)
    saved = tenfold.checkpoint.tensorflow(
        tf.train.Checkpoint(weights=weights, offset=offset), every_s=SAVE_EVERY_S
    )
    begun = saved.restore()  # the last checkpoint, or None
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
