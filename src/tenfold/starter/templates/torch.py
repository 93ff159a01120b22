"""Train a small linear model on all ranks.

Every task runs this file. DistributedDataParallel averages the gradients of all ranks. Start the
training with `tenfold up`, or without tenfold: torchrun --nproc-per-node 2 train.py
"""

import argparse

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import tenfold

FEATURES = 1000
BATCH = 64
ROUND = 20  # steps between two reports
SAVE_EVERY_S = 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps

    group = tenfold.torch.initialize()  # or torch.distributed.init_process_group()
    device = torch.device("cpu")
    if group.backend != "gloo" and torch.cuda.is_available():
        device = torch.device("cuda", group.local_rank)
    torch.manual_seed(0)  # the same weights on every rank
    model = nn.Linear(FEATURES, 1, bias=False).to(device)
    network = DistributedDataParallel(model) if group.size > 1 else model
    optimizer = torch.optim.SGD(model.parameters(), lr=10.0)
    saved = tenfold.checkpoint.torch({"model": model, "optimizer": optimizer}, every_s=SAVE_EVERY_S)
    begun = saved.restore()  # the last checkpoint, or None
    at = begun.step if begun else 0
    torch.manual_seed(1000 * at + group.rank)  # other data on every rank
    while at < steps:
        for _ in range(min(ROUND, steps - at)):
            x = torch.randn(BATCH, FEATURES, device=device)
            loss = ((network(x) - x.sum(1, keepdim=True)) ** 2).mean() / FEATURES
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            at += 1
        if saved.due() or at == steps:
            saved.save(at)
        tenfold.progress(at, steps, loss=float(loss))
        if group.rank == 0:
            print(f"step {at} of {steps}: loss {float(loss):.6f}", flush=True)
    if group.size > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
