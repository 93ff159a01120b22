"""Inside a JAX task: the processes of its cluster.

`initialize()` hands JAX what it needs to know. Importing this module imports JAX, if it is
installed, and teaches it the cluster, so that `jax.distributed.initialize()` alone does as well;
tasks that are forked from a preloaded JAX have that done already.

Three things are taught, each to the JAX of this process alone, and only where it is a task of
tenfold's. All of them are JAX's inner matters: one that a later JAX does not know any more is left
out. Seen on JAX 0.10:

- Of the cluster JAX reads `JAX_COORDINATOR_ADDRESS` from the environment, but not how many
  processes there are, nor which one this is. It asks its known kinds of clusters (Slurm, Open MPI,
  …) for them; tenfold's is one more, asked before the others.
- Collectives of CPUs listen on the address that the host's name has. In a network namespace nobody
  has it, and JAX fails; on loopback they are told to stay there.
- A process that an error ends waits at its exit, up to five minutes, for the others to end as
  well, and they wait for it. In tenfold's tasks it ends at once, so that the run can; if it only
  lost another one, a second later, so that the first failure is the first.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tenfold.errors import UnavailableError
from tenfold.frameworks.ranks import host_of, is_loopback

_ADDRESS, _COUNT, _ID = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"

_PROXIES, _NO_PROXY = ("grpc_proxy", "https_proxy", "http_proxy"), "no_grpc_proxy"  # gRPC's own

_LINGER_S = 1.0
_LOST = ("Gloo", "Connection closed by peer", "UNAVAILABLE")
"""Messages of collectives that have lost a peer.

JaxRuntimeErrors and ValueErrors have them alike.
"""


@dataclass(frozen=True, slots=True)
class Process:
    """The position of this process among those that compute together.

    Alone, it is 0 of 1.
    """

    id: int = 0
    count: int = 1


def initialize(**options: Any) -> Process:
    """Join the JAX processes of this task's cluster.

    Returns the position of this process among them.

    Waits until every process has come. To be called before anything else of JAX's; a second call
    changes nothing. Outside a cluster it does nothing.

    Args:
        options: more for `jax.distributed.initialize`, `local_device_ids` for example.
    """
    if not _in_cluster():
        return Process()
    jax = _import()
    _go_past_proxies()
    own = Process(int(os.environ[_ID]), int(os.environ[_COUNT]))
    if not jax.distributed.is_initialized():
        given = {
            "coordinator_address": os.environ[_ADDRESS],
            "num_processes": own.count,
            "process_id": own.id,
            # Slurm's and others' variables are those of the cell, and may count other processes.
            "cluster_detection_method": "deactivate",
        }
        jax.distributed.initialize(**(given | options))
    return own


def _in_cluster() -> bool:
    return all(os.environ.get(name) for name in ("TENFOLD_TASK", _ADDRESS, _COUNT, _ID))


def _go_past_proxies() -> None:
    """Make gRPC connect to the coordinator directly.

    It would use the proxy of `http_proxy` for it.

    Without a proxy nothing is set: JAX warns of every variable that has the word in its name.
    """
    if not any(os.environ.get(name) for name in _PROXIES):
        return
    others = os.environ.get(_NO_PROXY) or os.environ.get("no_proxy", "")
    host = host_of(os.environ[_ADDRESS])
    if host not in others.split(","):
        os.environ[_NO_PROXY] = f"{others},{host}" if others else host


def _import() -> Any:
    try:
        return importlib.import_module("jax")
    except ImportError as error:
        raise UnavailableError(
            f"JAX is not installed for {sys.executable}",
            hint=f"{sys.executable} -m pip install jax",
            cause=error,
        ) from error


# What this process's JAX is taught.


def _teach() -> None:
    for lesson in (_be_a_kind_of_cluster, _stay_on_loopback, _end_at_once_after_an_error):
        with contextlib.suppress(ImportError, AttributeError):
            lesson()


def _be_a_kind_of_cluster() -> None:
    base: Any = importlib.import_module("jax._src.clusters").ClusterEnv
    kinds: list[Any] = base._cluster_types

    class Tenfold(base):  # type: ignore[misc]
        """The three variables that every task of the cluster has."""

        name = "tenfold"

        @classmethod
        def is_env_present(cls) -> bool:
            if present := _in_cluster():
                _go_past_proxies()
            return present

        @classmethod
        def get_coordinator_address(
            cls, timeout_secs: int | None, override_coordinator_port: str | None
        ) -> str:
            del timeout_secs, override_coordinator_port
            return os.environ[_ADDRESS]

        @classmethod
        def get_process_count(cls) -> int:
            return int(os.environ[_COUNT])

        @classmethod
        def get_process_id(cls) -> int:
            return int(os.environ[_ID])

    kinds.remove(Tenfold)  # which being defined has put last
    kinds.insert(0, Tenfold)


def _stay_on_loopback() -> None:
    library: Any = importlib.import_module("jax._src.lib")._jax
    make: Callable[..., Any] = library.make_gloo_tcp_collectives

    def make_on_loopback(*given: Any, **named: Any) -> Any:
        address = os.environ.get(_ADDRESS, "")
        if sys.platform == "linux" and _in_cluster() and is_loopback(host_of(address)):
            if len(given) < 2 and not named.keys() & {"hostname", "interface"}:
                named["interface"] = "lo"
        return make(*given, **named)

    library.make_gloo_tcp_collectives = make_on_loopback


def _end_at_once_after_an_error() -> None:
    clean_up: Callable[[], object] = importlib.import_module("jax._src.api").clean_up

    def clean_up_if_well() -> None:
        # Python sets it when it reports the error that ends a program.
        error = getattr(sys, "last_value", None)
        if error is None or not _in_cluster():
            clean_up()
            return
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        if any(word in str(error) for word in _LOST):
            time.sleep(_LINGER_S)  # the end of the process that was lost is to be seen first
        # Without JAX's destructors: the coordinator's stays for five seconds, and takes its
        # leave of the others first, so that one of them would be the first to fail.
        os._exit(128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1)

    atexit.unregister(clean_up)
    atexit.register(clean_up_if_well)


_teach()
