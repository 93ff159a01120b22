"""Inside a TensorFlow task: the strategy of its cluster, and the standard server.

`python -m tenfold.tensorflow` is the server of a job without `run`. TensorFlow is imported here
and nowhere else in the package, when it is needed.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from typing import Any

from tenfold.errors import TenfoldError, UnavailableError

MIN_SHARD_BYTES = 256 << 10
"""A variable is split over the parameter servers down to pieces of this size: smaller ones cost
more in calls than they win in balance (TensorFlow's own recommendation for MinSizePartitioner)."""


def strategy(*, min_shard_bytes: int = MIN_SHARD_BYTES) -> Any:
    """The `tf.distribute` strategy that fits this task's cluster.

    With parameter servers: ParameterServerStrategy, for the chief; every variable larger than
    `min_shard_bytes` is split evenly over all of them, so that each holds the same share of the
    bytes, whatever their number. Without: MultiWorkerMirroredStrategy if there are several
    workers, else the default strategy. Outside a cluster: the default strategy.
    """
    tf = _import()
    cluster = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {})
    if not cluster:
        return tf.distribute.get_strategy()
    if "ps" in cluster:
        return _parameter_servers(tf, len(cluster["ps"]), min_shard_bytes)
    if sum(len(tasks) for tasks in cluster.values()) > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def _parameter_servers(tf: Any, servers: int, min_shard_bytes: int) -> Any:
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if resolver.task_type not in ("chief", "master"):
        raise TenfoldError(
            f"{resolver.task_type} is not the chief: with parameter servers, only the chief has "
            "a strategy",
            hint="leave `run` out of ps and worker jobs: they then run the standard server",
        )
    made = tf.distribute.ParameterServerStrategy(
        resolver,
        variable_partitioner=tf.distribute.experimental.partitioners.MinSizePartitioner(
            min_shard_bytes=min_shard_bytes, max_shards=servers
        ),
    )
    atexit.register(_let_go, made)
    return made


class _Ended:
    """Stands in for a coordinator's cluster when the process is about to end."""

    def stop(self) -> None:
        """Nothing: the operating system ends the threads."""


def _let_go(strategy: Any) -> None:
    """Keep the strategy's coordinator from stopping its threads when Python is being finalised.

    TensorFlow 2.21 does that in `ClusterCoordinator.__del__`, when daemon threads are frozen
    already; if one of them was just taking a lost worker back, it holds the lock that `__del__`
    waits for, and a chief whose training is done never ends (seen with py-spy).
    """
    coordinator: Any = getattr(strategy, "_cluster_coordinator", None)
    if hasattr(coordinator, "_cluster"):
        coordinator._cluster = _Ended()


def serve() -> None:
    """Run this task's standard server until the process is told to end."""
    tf = _import()
    config = json.loads(os.environ["TF_CONFIG"])
    place = config["task"]
    server = tf.distribute.Server(
        tf.train.ClusterSpec(config["cluster"]),
        job_name=place["type"],
        task_index=place["index"],
        protocol="grpc",
    )
    print(f"serving as /job:{place['type']}/task:{place['index']}", flush=True)
    server.join()


def _import() -> Any:
    try:
        import tensorflow as tf
    except ImportError as error:
        raise UnavailableError(
            f"TensorFlow is not installed for {sys.executable}",
            hint="pip install 'tenfold[tensorflow]'",
            cause=error,
        ) from error
    return tf


if __name__ == "__main__":
    serve()
