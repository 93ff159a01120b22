"""Inside a TensorFlow task: the strategy, variables and the standard server.

It has the strategy of the task's cluster, and the placement of variables.

`python -m tenfold.tensorflow` is the server of a job without `run`. TensorFlow is imported here
and nowhere else in the package, when it is needed.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tenfold.base.naming import label_of
from tenfold.errors import TenfoldError, UnavailableError
from tenfold.run.placements import PlacedVariable, Placement
from tenfold.run.rundir import RunDirectory

MIN_SHARD_BYTES = 256 << 10
"""The minimum size of the parts of a variable that is split.

A variable is split over the parameter servers down to pieces of this size: smaller ones cost more
in calls than they win in balance (TensorFlow's own recommendation for MinSizePartitioner).
"""

_WRITE_S = 0.5
"""Seconds within which new variables are written together."""


def strategy(*, min_shard_bytes: int = MIN_SHARD_BYTES) -> Any:
    """The `tf.distribute` strategy that fits this task's cluster.

    With parameter servers: ParameterServerStrategy, for the chief; every variable larger than
    `min_shard_bytes` is split evenly over all of them, so that each holds the same share of the
    bytes, whatever their number. Without: MultiWorkerMirroredStrategy if there are several
    workers, else the default strategy. Outside a cluster: the default strategy.

    With servers or several workers, where each variable lies that is made in the strategy's scope
    is told in the run directory (`record_placement`).
    """
    tf = _import()
    cluster = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {})
    if not cluster:
        return tf.distribute.get_strategy()
    if "ps" in cluster:
        return _recorded(tf, _parameter_servers(tf, len(cluster["ps"]), min_shard_bytes))
    if sum(len(tasks) for tasks in cluster.values()) > 1:
        return _recorded(tf, tf.distribute.MultiWorkerMirroredStrategy())
    return tf.distribute.get_strategy()


def _parameter_servers(tf: Any, servers: int, min_shard_bytes: int) -> Any:
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if resolver.task_type not in ("chief", "master"):
        raise TenfoldError(
            f"{resolver.task_type} is not the chief: with parameter servers, only the chief has "
            "a strategy",
            hint="remove `run` from ps and worker jobs, so that they run the standard server",
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
    """Replaces a coordinator's cluster when the process is about to end."""

    def stop(self) -> None:
        """Do nothing: the operating system ends the threads."""


def _let_go(strategy: Any) -> None:
    """Keep the strategy's coordinator from stopping its threads at exit.

    That is when Python is being finalised.

    TensorFlow 2.21 does that in `ClusterCoordinator.__del__`, when daemon threads are frozen
    already; if one of them was just taking a lost worker back, it holds the lock that `__del__`
    waits for, and a chief whose training is done never ends (seen with py-spy).
    """
    coordinator: Any = getattr(strategy, "_cluster_coordinator", None)
    if hasattr(coordinator, "_cluster"):
        coordinator._cluster = _Ended()


def record_placement(variables: Any) -> None:
    """Record the placement of `variables` for views.

    It is written to `placement.json` in this task's directory.

    Those made in the scope of `strategy()` are told already; this is for a script that makes its
    own. Returns at once, the file follows within a second; outside a cluster nothing is written.

    Args:
        variables: a `tf.Variable`, a `ShardedVariable`, a Keras variable, or any nest of them.
    """
    for variable in _import().nest.flatten(variables):
        _placement.note(variable)


def _recorded(tf: Any, strategy: Any) -> Any:
    """`strategy`, which also records the variables created in its scope.

    This holds from now on.
    """
    enter = strategy.scope

    def noting(make: Callable[..., Any], **options: Any) -> Any:
        made = make(**options)
        _placement.note(made)
        return made

    strategy.scope = lambda: _Scope(enter(), lambda: tf.variable_creator_scope(noting))
    return strategy


class _Scope:
    """A strategy's scope and another inside it.

    It can be entered inside itself, as a strategy's can.

    Inside, so that a creator gets what the strategy has made: all shards, on their servers.
    """

    def __init__(self, outer: Any, inner: Callable[[], Any]) -> None:
        self._outer = outer
        self._inner = inner
        self._entered: list[Any] = []

    def __enter__(self) -> Any:
        current = self._outer.__enter__()
        self._entered.append(self._inner())
        self._entered[-1].__enter__()
        return current

    def __exit__(self, *error: Any) -> Any:
        self._entered.pop().__exit__(*error)
        return self._outer.__exit__(*error)


class _Placement:
    """The placement of this process's variables, and its one writer.

    A variable that is gone stays until another takes its name: when a training has ended, its
    variables are what one wants to see; when a notebook's cell is run again, they are not.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._disk = threading.Lock()
        self._told: dict[str, list[tuple[weakref.ref[Any], PlacedVariable]]] = {}
        self._writer: threading.Timer | None = None

    def note(self, variable: Any) -> None:
        """Add all parts of a variable to the file.

        Never raises, and never waits for a disk.

        Whatever TensorFlow makes of variables one day, telling of them must not end a training.
        """
        if "TENFOLD_RUN_DIRECTORY" not in os.environ:
            return
        with contextlib.suppress(Exception):
            found = [(weakref.ref(piece), told) for piece, told in _pieces(variable)]
            with self._lock:
                for reference, told in found:
                    self._put(reference, told)
                self._write_soon()

    def _put(self, reference: weakref.ref[Any], told: PlacedVariable) -> None:
        piece = reference()  # to be told by identity: == of variables is TensorFlow's, and remote
        others = [
            (other, said)
            for other, said in self._told.get(told.name, ())
            if (alive := other()) is not None and alive is not piece
        ]
        self._told[told.name] = [*others, (reference, told)]

    def _write_soon(self) -> None:
        if self._writer is None:
            atexit.unregister(self.write)
            atexit.register(self.write)
            self._writer = threading.Timer(_WRITE_S, self.write)
            self._writer.daemon = True
            self._writer.start()

    def write(self) -> None:
        """Write the file now if it has changed, after any write in progress."""
        with self._disk:
            with self._lock:
                if self._writer is None:
                    return
                self._writer.cancel()
                self._writer = None
                variables = tuple(told for same in self._told.values() for _, told in same)
            home, name = os.environ.get("TENFOLD_RUN_DIRECTORY"), os.environ.get("TENFOLD_TASK")
            if home and name:
                placed = Placement(time=round(time.time(), 3), variables=variables)
                with contextlib.suppress(OSError):  # a full disk must not end a training
                    placed.write(RunDirectory(Path(home)).task(label_of(name)).placement)


_placement = _Placement()


def _pieces(variable: Any) -> Iterator[tuple[Any, PlacedVariable]]:
    """Each part of a variable, and what to record of it."""
    inner = getattr(variable, "value", None)
    if inner is not None and not callable(inner):  # a Keras variable's own
        variable = inner
    parts = list(getattr(variable, "variables", [variable]))
    for part, piece in enumerate(parts):
        name = str(piece.name).partition(":")[0]
        elements = piece.shape.num_elements()
        shape = None if piece.shape.rank is None else tuple(piece.shape.as_list())
        whole = name.removesuffix(f"/part_{part}") if len(parts) > 1 else name
        told = PlacedVariable(
            name=name,
            variable=whole,
            part=part,
            parts=len(parts),
            shape=shape,
            dtype=piece.dtype.base_dtype.name,
            bytes=None if elements is None else elements * piece.dtype.size,
            device=str(piece.device),
            task=_task_of(str(piece.device)),
        )
        yield piece, told


def _task_of(device: str) -> str | None:
    """`ps/0` of `/job:ps/replica:0/task:0/device:CPU:0`.

    This task if the device says localhost.
    """
    found = re.search(r"/job:([^/]+)(?:/replica:\d+)?/task:(\d+)", device)
    if found is None:
        return None
    job, index = found.groups()
    return os.environ.get("TENFOLD_TASK") if job == "localhost" else f"{job}/{index}"


def serve() -> None:
    """Run this task's standard server until the process is asked to end."""
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
            hint=f"{sys.executable} -m pip install tensorflow",
            cause=error,
        ) from error
    return tf


if __name__ == "__main__":
    serve()
