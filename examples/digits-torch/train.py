"""Train a classifier of handwritten digits with DistributedDataParallel.

    tenfold up                                   one rank per task
    torchrun --nproc-per-node 4 train.py         the same under torchrun
    python train.py                              one process

Every rank trains on its share of the images. DDP averages the gradients after each batch, so all
ranks have the same weights at any time. tenfold shows the progress and saves checkpoints after an
epoch, at most one per second. An interrupted run resumes from its last checkpoint.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

import tenfold

TEST_IMAGES = 360
BATCH = 64  # of all ranks together
SAVE_EVERY_S = 1.0


def main() -> None:
    """Train and test. Rank 0 writes the results."""
    options = _options()
    torch.manual_seed(options.seed)
    device = _device()
    if "RANK" in os.environ:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    rank = dist.get_rank() if dist.is_initialized() else 0
    size = dist.get_world_size() if dist.is_initialized() else 1
    train, test = _digits()
    sampler: Any = DistributedSampler(train, size, rank, seed=options.seed)
    batches = DataLoader(train, batch_size=max(1, BATCH // size), sampler=sampler)
    plain = _network().to(device)
    network: nn.Module = DistributedDataParallel(plain) if size > 1 else plain
    optimizer = torch.optim.Adam(network.parameters(), lr=options.rate)
    saved = tenfold.checkpoint.torch(
        {"network": plain, "optimizer": optimizer}, place=options.checkpoints, every_s=SAVE_EVERY_S
    )
    begun, loss = 0, float("nan")
    if (found := saved.restore()) is not None:
        begun, loss = found.step, found.position["loss"]
        print(f"rank {rank} of {size}: resumed after epoch {begun}", flush=True)
    summaries = _summaries(options.tensorboard if rank == 0 else None)
    for epoch in range(begun, options.epochs):
        sampler.set_epoch(epoch)
        loss = _epoch(network, optimizer, batches, device)
        if saved.due():
            saved.save(epoch + 1, {"loss": loss})
        tenfold.progress(epoch + 1, options.epochs, unit="epochs", loss=round(loss, 4))
        if rank == 0:
            print(f"epoch {epoch + 1}: loss {loss:.4f}", flush=True)
        if summaries is not None:
            summaries.add_scalar("loss", loss, epoch + 1)
    accuracy = _accuracy(network, test, rank, size, device)
    print(f"rank {rank} of {size}: weights {_fingerprint(plain)}", flush=True)
    if rank == 0:
        print(f"accuracy {accuracy:.3f}", flush=True)
        options.results.mkdir(parents=True, exist_ok=True)
        torch.save(plain.state_dict(), options.results / "digits.pt")
        result = {"accuracy": accuracy, "loss": loss, "ranks": size}
        (options.results / "result.json").write_text(json.dumps(result))
    if summaries is not None:
        summaries.close()
    if dist.is_initialized():
        dist.barrier()  # gloo's threads let go of the last tensors meanwhile, see docs/torch.md
        dist.destroy_process_group()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Classify handwritten digits")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIRECTORY")
    parser.add_argument(
        "--checkpoints", type=Path, metavar="DIRECTORY", help="used outside a cluster"
    )
    parser.add_argument("--tensorboard", type=Path, metavar="DIRECTORY", help="for event files")
    return parser.parse_args()


def _device() -> torch.device:
    """A GPU where each rank of this machine has one of its own, else the CPU."""
    if torch.cuda.device_count() < int(os.environ.get("LOCAL_WORLD_SIZE", "1")):
        return torch.device("cpu")
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cuda")


def _digits() -> tuple[TensorDataset, TensorDataset]:
    """1,437 images of 8 by 8 to train on, and 360 to test."""
    digits: Any = load_digits()
    images = torch.tensor(digits.data / 16, dtype=torch.float32)
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    test, train = order[:TEST_IMAGES], order[TEST_IMAGES:]
    return TensorDataset(images[train], labels[train]), TensorDataset(images[test], labels[test])


def _network() -> nn.Sequential:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def _epoch(
    network: nn.Module, optimizer: torch.optim.Optimizer, batches: Any, device: torch.device
) -> float:
    """One pass over this rank's share; the mean loss of all ranks."""
    total = torch.zeros((), device=device)
    for images, labels in batches:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(images.to(device)), labels.to(device))
        loss.backward()
        optimizer.step()
        total += loss.detach()
    mean = total / len(batches)
    if dist.is_initialized():
        dist.all_reduce(mean)
        mean /= dist.get_world_size()
    return float(mean)


def _accuracy(
    network: nn.Module, test: TensorDataset, rank: int, size: int, device: torch.device
) -> float:
    """The share of test images that are recognised; each rank looks at some of them."""
    images, labels = (tensor[rank::size].to(device) for tensor in test.tensors)
    network.eval()
    with torch.no_grad():
        right = (network(images).argmax(1) == labels).sum()
    if dist.is_initialized():
        dist.all_reduce(right)
    return int(right) / len(test)


def _summaries(directory: Path | None) -> Any:
    """Where TensorBoard's curves go; None without a directory, or without TensorBoard."""
    if directory is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(directory / "train"))


def _fingerprint(network: nn.Module) -> str:
    """Eight characters that differ between weights."""
    digest = hashlib.sha256()
    for weights in network.state_dict().values():
        digest.update(weights.cpu().numpy().tobytes())
    return digest.hexdigest()[:8]


if __name__ == "__main__":
    main()
