"""What torchrun sets, for any cell's addresses; nothing here imports PyTorch."""

from __future__ import annotations

import sys

import pytest

from tenfold.frameworks import JobFacts, framework

SLURM = {"chief": ("n1:20001",), "worker": ("n1:20002", "n2:20001")}


def test_a_torch_worker_gets_the_variables_of_torchrun() -> None:
    assert framework("torch").environment("worker", 1, SLURM) == {
        "RANK": "2",
        "WORLD_SIZE": "3",
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "GROUP_RANK": "1",
        "GROUP_WORLD_SIZE": "2",
        "ROLE_NAME": "worker",
        "ROLE_RANK": "1",
        "ROLE_WORLD_SIZE": "2",
        "MASTER_ADDR": "n1",
        "MASTER_PORT": "20001",
        "TORCHELASTIC_RUN_ID": "none",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_MAX_RESTARTS": "0",
        "TORCHELASTIC_USE_AGENT_STORE": "False",
    }


def test_on_loopback_gloo_stays_there() -> None:
    made = framework("torch").environment("worker", 0, {"worker": ("127.0.0.1:2222",)})
    assert made["GLOO_SOCKET_IFNAME"] == ("lo0" if sys.platform == "darwin" else "lo")


def test_an_ipv6_address_has_no_brackets() -> None:
    made = framework("torch").environment("worker", 0, {"worker": ("[fd00::7]:2222",)})
    assert (made["MASTER_ADDR"], made["MASTER_PORT"]) == ("fd00::7", "2222")


def test_services_get_nothing() -> None:
    addresses = {"worker": ("h:1",), "jupyter": ("h:2",)}
    assert framework("torch").environment("jupyter", 0, addresses) == {}
    with pytest.raises(KeyError):
        framework("torch").standard_server("worker")


def test_ranks_restart_together_and_all_must_succeed() -> None:
    frame = framework("torch")
    defaults = frame.job_defaults("worker", ("worker",))
    assert (defaults.restart, defaults.scope) == ("on-failure", "cluster")
    assert defaults.crashes_only, "what a rank raises, it would raise again"
    assert defaults.needed
    assert frame.success_jobs(("chief", "worker", "fetch")) == ("chief", "worker")


@pytest.mark.parametrize(("tasks", "cores", "each"), [(4, 2, "1"), (2, 16, "8"), (3, 8, "2")])
def test_ranks_share_the_cores(tasks: int, cores: int, each: str) -> None:
    made = framework("torch").process_environment("worker", tasks, cores)
    assert made["OMP_NUM_THREADS"] == each
    assert "OMP_NUM_THREADS" not in framework("torch").process_environment("worker", 1, cores)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("TORCH_LOGS", True),
        ("PYTORCH_JIT", True),
        ("KMP_AFFINITY", True),
        ("CUDA_VISIBLE_DEVICES", False),
        ("SHARD", False),
    ],
)
def test_variables_read_at_the_import_are_known(name: str, read: bool) -> None:
    assert framework("torch").reads_at_import(name) is read


@pytest.mark.parametrize(
    ("run", "tasks", "warned"),
    [
        (("torchrun", "train.py"), 4, True),
        (("python", "-m", "torch.distributed.run", "train.py"), 4, True),
        (("/opt/bin/torchrun", "train.py"), 4, True),
        (("torchrun", "train.py"), 1, False),
        (("python", "train.py"), 4, False),
    ],
)
def test_ranks_below_ranks_are_warned_of(run: tuple[str, ...], tasks: int, warned: bool) -> None:
    advice = list(framework("torch").advice([JobFacts("worker", tasks, run, None)]))
    assert [each.path for each in advice] == (["jobs.worker.run"] if warned else [])
