"""Train a small linear model on the devices of all processes.

Every task runs this file. XLA adds the sums over processes that the gradient needs. Start the
training with `tenfold up`, or in one process: python train.py
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import tenfold

FEATURES = 1000
BATCH = 128  # of all devices together
ROUND = 20  # steps between two reports
SAVE_EVERY_S = 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps

    own = tenfold.jax.initialize()  # call it before any other function of JAX
    mesh = Mesh(np.array(jax.devices()), ("batch",))
    everywhere = NamedSharding(mesh, PartitionSpec())
    spread = NamedSharding(mesh, PartitionSpec("batch"))
    batch = max(1, BATCH // jax.device_count()) * jax.device_count()
    saved = tenfold.checkpoint.arrays(every_s=SAVE_EVERY_S)
    weights, at = np.zeros(FEATURES, np.float32), 0
    if (restored := saved.restore(like=weights)) is not None:  # the last checkpoint
        weights, begun = restored
        at = begun.step
    weights = jax.device_put(weights, everywhere)

    def loss_of(weights: jax.Array, x: jax.Array) -> jax.Array:
        return jnp.mean((x @ weights - x.sum(1)) ** 2) / FEATURES

    def after(weights: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        loss, gradient = jax.value_and_grad(loss_of)(weights, x)
        return weights - 10.0 * gradient, loss

    step = jax.jit(after)
    while at < steps:
        for _ in range(min(ROUND, steps - at)):
            data = np.random.default_rng(at).standard_normal((batch, FEATURES), np.float32)
            x = jax.make_array_from_callback(data.shape, spread, lambda piece: data[piece])  # noqa: B023
            weights, loss = step(weights, x)
            at += 1
        if saved.due() or at == steps:
            saved.save(at, weights)
        tenfold.progress(at, steps, loss=float(loss))
        if own.id == 0:
            print(f"step {at} of {steps}: loss {float(loss):.6f}", flush=True)


if __name__ == "__main__":
    main()
