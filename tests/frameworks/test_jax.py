"""JAX's coordinator, count and id, for any cell's addresses; nothing here imports JAX."""

from __future__ import annotations

import pytest

from tenfold.frameworks import framework


def test_coordinator_count_and_id() -> None:
    addresses = {"worker": ("worker-0:2222", "worker-1:2222"), "master": ("master-0:2222",)}
    assert framework("jax").environment("worker", 1, addresses) == {
        "JAX_COORDINATOR_ADDRESS": "master-0:2222",
        "JAX_NUM_PROCESSES": "3",
        "JAX_PROCESS_ID": "2",
    }


def test_on_loopback_the_coordinator_stays_there() -> None:
    made = framework("jax").environment("worker", 0, {"worker": ("127.0.0.1:2222",)})
    assert made["JAX_COORDINATOR_BIND_ADDRESS"] == "127.0.0.1:2222"


def test_an_ipv6_address_keeps_its_brackets() -> None:
    made = framework("jax").environment("worker", 0, {"worker": ("[fd00::7]:2222",)})
    assert made["JAX_COORDINATOR_ADDRESS"] == "[fd00::7]:2222"


def test_services_get_nothing() -> None:
    addresses = {"worker": ("h:1",), "tensorboard": ("h:2",)}
    assert framework("jax").environment("tensorboard", 0, addresses) == {}
    with pytest.raises(KeyError):
        framework("jax").standard_server("worker")


def test_processes_restart_together_and_all_must_succeed() -> None:
    frame = framework("jax")
    defaults = frame.job_defaults("worker", ("worker",))
    assert (defaults.restart, defaults.scope) == ("on-failure", "cluster")
    assert defaults.crashes_only, "what a rank raises, it would raise again"
    assert frame.success_jobs(("worker", "fetch")) == ("worker",)


@pytest.mark.parametrize(("tasks", "cores", "each"), [(4, 2, "1"), (2, 16, "8")])
def test_processes_share_the_cores(tasks: int, cores: int, each: str) -> None:
    made = framework("jax").process_environment("worker", tasks, cores)
    assert made == {"NPROC": each, "OMP_NUM_THREADS": each}
    assert framework("jax").process_environment("worker", 1, cores) == {}


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("JAX_PLATFORMS", True),
        ("XLA_FLAGS", True),
        ("JAX_LOCAL_DEVICE_IDS", False),
        ("CUDA_VISIBLE_DEVICES", False),
        ("SHARD", False),
    ],
)
def test_variables_read_at_the_import_are_known(name: str, read: bool) -> None:
    assert framework("jax").reads_at_import(name) is read
