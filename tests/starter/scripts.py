"""Training scripts as people write them, for tests of `tenfold init`."""

from __future__ import annotations

DDP = '''\
"""An unmodified DistributedDataParallel script."""

import argparse

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    args = parser.parse_args()
    dist.init_process_group("gloo")
    model = DDP(nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(8, 4)).mean().backward()
        optimizer.step()
    total = torch.ones(1)
    dist.all_reduce(total)
    print(f"rank {dist.get_rank()} of {int(total)} lr {args.lr}", flush=True)
    if dist.get_rank() == 0:
        torch.save(model.module.state_dict(), "model.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
'''

LIGHTNING = """\
import lightning as L
import torch

DEVICES = 4


def main():
    trainer = L.Trainer(devices=DEVICES, num_nodes=2, strategy="ddp")
    trainer.fit(torch.nn.Linear(1, 1))
    trainer.save_checkpoint("last.ckpt")


if __name__ == "__main__":
    main()
"""

ACCELERATE = """\
import torch
from accelerate import Accelerator

accelerator = Accelerator()
model = accelerator.prepare(torch.nn.Linear(1, 1))
accelerator.backward(model(torch.ones(1)).sum())
accelerator.save_state("state")
"""

TRAINER = """\
import argparse

from transformers import Trainer, TrainingArguments

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("output")
args = parser.parse_args()
trainer = Trainer(args=TrainingArguments(args.output))
trainer.train()
trainer.save_model("checkpoint")
"""

DEEPSPEED = """\
import argparse

import deepspeed
import torch

parser = argparse.ArgumentParser()
parser.add_argument("--local_rank", type=int, default=-1)
args = parser.parse_args()
engine, *_ = deepspeed.initialize(args=args, model=torch.nn.Linear(1, 1))
engine.save_checkpoint("checkpoint")
"""

SPAWN = """\
import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def work(rank, size):
    dist.init_process_group("gloo", init_method="tcp://127.0.0.1:29511", rank=rank, world_size=size)
    torch.save({}, f"checkpoint-{rank}.pt")


if __name__ == "__main__":
    mp.spawn(work, args=(2,), nprocs=2)
"""

MIRRORED = """\
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()
with strategy.scope():
    weights = tf.Variable(tf.zeros([8, 1]))
checkpoint = tf.train.Checkpoint(w=weights)


@tf.function
def step():
    return strategy.reduce("SUM", strategy.run(lambda: tf.reduce_sum(weights) + 1.0), axis=None)


print("replicas", strategy.num_replicas_in_sync, "sum", float(step()), flush=True)
"""

PARAMETER_SERVERS = """\
import tensorflow as tf

resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
strategy = tf.distribute.ParameterServerStrategy(resolver)
checkpoint = tf.train.Checkpoint()
"""

TENSORFLOW_1 = """\
import argparse

import tensorflow.compat.v1 as tf

parser = argparse.ArgumentParser()
parser.add_argument("--ps_hosts")
parser.add_argument("--worker_hosts")
parser.add_argument("--job_name")
parser.add_argument("--task_index", type=int)
args = parser.parse_args()
cluster = {"ps": args.ps_hosts.split(","), "worker": args.worker_hosts.split(",")}
spec = tf.train.ClusterSpec(cluster)
print(args.job_name, args.task_index, len(spec.job_tasks("worker")), flush=True)
if args.job_name == "never":
    server = tf.train.Server(spec, job_name=args.job_name, task_index=args.task_index)
    checkpoint = tf.train.Saver()
"""

JAX = """\
import argparse
import pickle

import jax
import jax.numpy as jnp

parser = argparse.ArgumentParser()
parser.add_argument("--coordinator")
parser.add_argument("--num-processes", type=int)
parser.add_argument("--process-id", type=int)


def main():
    args = parser.parse_args()
    jax.distributed.initialize(args.coordinator, args.num_processes, process_id=args.process_id)
    gradient = jax.grad(lambda w: (w**2).sum())(jnp.ones(3))
    pickle.dump(gradient, open(f"checkpoint-{jax.process_index()}.pkl", "wb"))
    print(f"process {jax.process_index()} of {jax.process_count()}", flush=True)


if __name__ == "__main__":
    main()
"""

KERAS = """\
import keras

model = keras.Sequential([keras.layers.Dense(1)])
model.compile(loss="mse")
model.fit([[1.0]], [[1.0]], callbacks=[keras.callbacks.ModelCheckpoint("checkpoint.keras")])
"""

PLAIN_TORCH = """\
import torch

model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
torch.save(model.state_dict(), "checkpoint.pt")
"""

HOROVOD = """\
import horovod.torch as hvd
import torch

hvd.init()
torch.save({}, "checkpoint.pt")
"""

NOTHING = """\
import torch

print(torch.__version__)
"""
