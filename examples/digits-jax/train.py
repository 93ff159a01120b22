"""Train a classifier of handwritten digits, data-parallel, with JAX.

    tenfold up          one process per task
    python train.py     one process

Every device holds the weights and a part of each batch. XLA adds the sums over processes that the
gradients need to the compiled step. Process 0 saves a checkpoint after an epoch, at most one per
second. An interrupted run resumes from its last checkpoint.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from sklearn.datasets import load_digits

import tenfold

TEST_IMAGES = 360
BATCH = 128  # of all devices together, if it can be shared out evenly
MOMENTUM = 0.9
SAVE_EVERY_S = 1.0


def main() -> None:
    """Train and test. Process 0 writes the results."""
    options = _options()
    own = tenfold.jax.initialize()
    mesh = Mesh(np.array(jax.devices()), ("batch",))
    everywhere = NamedSharding(mesh, PartitionSpec())
    spread = NamedSharding(mesh, PartitionSpec("batch"))
    batch = max(1, BATCH // jax.device_count()) * jax.device_count()
    train, test = _digits()
    step = jax.jit(_after_batch)
    weights = jax.device_put(_initial(options.seed), everywhere)
    speed = jax.device_put(jax.tree.map(jnp.zeros_like, weights), everywhere)
    saved = tenfold.checkpoint.arrays(place=options.checkpoints, every_s=SAVE_EVERY_S)
    begun, mean = 0, float("nan")
    if (restored := saved.restore(like=(weights, speed))) is not None:
        (weights, speed), found = restored
        weights, speed = jax.device_put((weights, speed), everywhere)
        begun, mean = found.step, found.position["loss"]
        print(f"process {own.id} of {own.count}: resumed after epoch {begun}", flush=True)
    for epoch in range(begun, options.epochs):
        losses = []
        for images, labels in _batches(train, batch, np.random.default_rng((options.seed, epoch))):
            images, labels = _shared(images, spread), _shared(labels, spread)
            weights, speed, loss = step(weights, speed, images, labels, options.rate)
            losses.append(loss)
        mean = float(np.mean([float(loss) for loss in losses]))
        if saved.due():
            saved.save(epoch + 1, (weights, speed), {"loss": mean})
        tenfold.progress(epoch + 1, options.epochs, unit="epochs", loss=round(mean, 4))
        if own.id == 0:
            print(f"epoch {epoch + 1}: loss {mean:.4f}", flush=True)
    local = jax.tree.map(lambda array: np.asarray(array.addressable_data(0)), weights)
    accuracy = float(np.mean(np.argmax(_scores(local, test[0]), axis=1) == test[1]))
    print(f"process {own.id} of {own.count}: weights {_fingerprint(local)}", flush=True)
    if own.id == 0:
        print(f"accuracy {accuracy:.3f}", flush=True)
        directory = _results(options.results)
        np.savez(directory / "digits.npz", **local)
        result = {"accuracy": accuracy, "loss": mean, "processes": own.count}
        (directory / "result.json").write_text(json.dumps(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Classify handwritten digits")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--checkpoints", type=Path, metavar="DIRECTORY", help="used outside a cluster"
    )
    parser.add_argument("--results", type=Path, metavar="DIRECTORY", help="used outside a cluster")
    return parser.parse_args()


def _results(alone: Path | None) -> Path:
    try:
        return tenfold.task().results
    except tenfold.TenfoldError:  # not in a cluster
        directory = alone or Path("results")
        directory.mkdir(parents=True, exist_ok=True)
        return directory


def _digits() -> tuple[Any, Any]:
    """1,437 images of 8 by 8 to train on, and 360 to test, with their labels."""
    digits: Any = load_digits()
    images, labels = (digits.data / 16).astype(np.float32), digits.target.astype(np.int32)
    order = np.random.default_rng(0).permutation(len(labels))
    test, train = order[:TEST_IMAGES], order[TEST_IMAGES:]
    return (images[train], labels[train]), (images[test], labels[test])


def _batches(data: Any, size: int, random: np.random.Generator) -> Any:
    """The images in a new order, the same in every process; what is left of a batch is dropped."""
    images, labels = data
    order = random.permutation(len(labels))
    for begin in range(0, len(order) - size + 1, size):
        chosen = order[begin : begin + size]
        yield images[chosen], labels[chosen]


def _shared(whole: Any, sharding: NamedSharding) -> jax.Array:
    """The batch over all devices: each process hands over the pieces of its own."""
    return jax.make_array_from_callback(whole.shape, sharding, lambda piece: whole[piece])


def _initial(seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    sizes = [(64, 128), (128, 10)]
    weights: dict[str, Any] = {}
    for layer, (inputs, outputs) in enumerate(sizes):
        scale = np.sqrt(2 / inputs)
        weights[f"w{layer}"] = random.normal(0, scale, (inputs, outputs)).astype(np.float32)
        weights[f"b{layer}"] = np.zeros(outputs, np.float32)
    return weights


def _scores(weights: Any, images: Any) -> Any:
    hidden = jax.nn.relu(images @ weights["w0"] + weights["b0"])
    return hidden @ weights["w1"] + weights["b1"]


def _loss(weights: Any, images: Any, labels: Any) -> Any:
    likelihoods = jax.nn.log_softmax(_scores(weights, images))
    return -jnp.mean(likelihoods[jnp.arange(len(labels)), labels])


def _after_batch(weights: Any, speed: Any, images: Any, labels: Any, rate: float) -> Any:
    """The weights after one batch, by gradient descent with momentum, and the loss before it."""
    loss, gradient = jax.value_and_grad(_loss)(weights, images, labels)
    speed = jax.tree.map(lambda old, new: MOMENTUM * old - rate * new, speed, gradient)
    return jax.tree.map(jnp.add, weights, speed), speed, loss


def _fingerprint(weights: dict[str, Any]) -> str:
    """Eight characters that differ between weights."""
    digest = hashlib.sha256(b"".join(weights[name].tobytes() for name in sorted(weights)))
    return digest.hexdigest()[:8]


if __name__ == "__main__":
    main()
