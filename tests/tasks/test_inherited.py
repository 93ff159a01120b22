"""What tasks inherit from the shell: no place in another cluster, no proxy between them."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

from tenfold.bringup.api import up
from tenfold.cluster.file import loads
from tenfold.planning.plan import Plan
from tenfold.planning.planner import plan
from tenfold.tasks.inherited import dropped, inheritable, past_proxies

ADDRESSES = {"ps": ["ps-0.c:70", "ps-1.c:70"], "worker": ["10.1.2.3:71", "[fd00::2]:72"]}

STALE = {
    "TF_CONFIG": "{}", "RANK": "7", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "old",
    "MASTER_PORT": "1", "GROUP_RANK": "2", "TORCHELASTIC_RUN_ID": "x", "SLURM_PROCID": "3",
    "SLURM_NTASKS": "4", "SLURM_JOB_ID": "5", "OMPI_COMM_WORLD_RANK": "6", "PMI_RANK": "7",
    "PMIX_RANK": "8", "JAX_PROCESS_ID": "9", "JAX_COORDINATOR_ADDRESS": "old:1",
    "DMLC_ROLE": "worker", "DMLC_PS_ROOT_URI": "old", "PADDLE_TRAINER_ID": "1", "RANK_SIZE": "8",
    "NEURON_RT_ROOT_COMM_ID": "old:1", "MPIRUN_RANK": "3",
    "HOROVOD_RANK": "1", "PET_NODE_RANK": "1", "FLUX_TASK_RANK": "2", "MV2_COMM_WORLD_RANK": "3",
}  # fmt: skip

KEPT = {
    "HOME": "/h", "CUDA_VISIBLE_DEVICES": "1", "LD_PRELOAD": "/x.so", "SLURM_CONF": "/etc/s.conf",
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "NCCL_DEBUG": "INFO", "JAX_PLATFORMS": "cpu", "RANKING": "1",
    "HOROVOD_FUSION_THRESHOLD": "1", "FLUX_URI": "u", "XLA_FLAGS": "f", "OMP_NUM_THREADS": "3",
}  # fmt: skip


@pytest.mark.parametrize("cell", ["local", "docker", "kubernetes"])
def test_no_task_inherits_variables_of_another_cluster(cell: str) -> None:
    assert inheritable(STALE | KEPT, cell, "none", ADDRESSES) == KEPT
    assert dropped(STALE | KEPT, cell, "none") == sorted(STALE)


def test_on_slurm_variables_of_the_job_are_kept_and_those_of_the_step_removed() -> None:
    said = {"SLURM_JOB_ID": "5", "SLURMD_NODENAME": "n1", "SLURM_PROCID": "0", "RANK": "1"}
    left = inheritable(said, "slurm", "torch", ADDRESSES)
    assert left == {"SLURM_JOB_ID": "5", "SLURMD_NODENAME": "n1"}
    assert "SLURM_PROCID" in inheritable(said, "slurm", "jax", ADDRESSES)  # made true by it


def test_an_interface_of_the_machine_is_nothing_to_a_run_on_loopback() -> None:
    said = dict.fromkeys(
        ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "OMPI_MCA_btl_tcp_if_include"), "eth0"
    )
    assert inheritable(said, "local", "none", {"a": ["127.0.0.1:1"]}) == {}
    assert inheritable(said, "docker", "none", ADDRESSES) == said


def test_variables_of_an_outer_run_stay_there() -> None:
    outer = {"TENFOLD_TASK": "a/0", "TENFOLD_RUN_DIRECTORY": "/r", "TENFOLD_PORT_WEB": "1"}
    assert inheritable(outer, "local", "none", ADDRESSES) == {}


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "all_proxy", "grpc_proxy"])
def test_peers_are_reached_without_a_proxy(name: str) -> None:
    made = past_proxies({name: "http://p:3128", "NO_PROXY": "intra.net"}, ADDRESSES)
    assert made["no_proxy"] == made["NO_PROXY"]
    words = made["no_proxy"].split(",")
    assert words[0] == "intra.net"
    assert {"127.0.0.1", "localhost", "ps-0.c", "ps-1.c", "10.1.2.3", "fd00::2"} <= set(words)


def test_a_wildcard_for_all_hosts_stays_one() -> None:
    made = past_proxies({"all_proxy": "http://p:1", "NO_PROXY": "*"}, ADDRESSES)
    assert (made["no_proxy"], made["NO_PROXY"]) == ("*", "*")
    assert "ps-0.c" in made["no_grpc_proxy"].split(",")


def test_without_a_proxy_nothing_is_excepted() -> None:
    assert past_proxies({"no_proxy": "x", "http_proxy": ""}, ADDRESSES) == {}


def test_hosts_are_added_to_no_grpc_proxy() -> None:
    made = past_proxies({"http_proxy": "http://p:1", "no_grpc_proxy": "mine"}, ADDRESSES)
    assert made["no_grpc_proxy"].startswith("mine,localhost,127.0.0.1")


def test_the_exceptions_of_a_very_large_run_fit_into_a_variable() -> None:
    many = {"w": [f"w-{n}.cluster.svc:7000" for n in range(100_000)]}
    made = past_proxies({"http_proxy": "http://p:1"}, many)
    assert ".cluster.svc" in made["no_proxy"].split(",")
    assert len(made["no_proxy"]) < 100_000


def _plan(text: str, where: Path) -> Plan:
    return plan(loads(text, directory=where))


SAYS = "import json, os; json.dump(dict(os.environ), open('said', 'w'))"


def test_a_real_task_inherits_no_foreign_variables_and_the_file_takes_precedence(
    tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (STALE | {"http_proxy": "http://127.0.0.1:9"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("no_proxy", raising=False)
    text = f"""
cluster: c
framework: none
jobs: {{chief: {{run: [{sys.executable}, -c, "{SAYS}"], env: {{RANK: "99", NO_PROXY: mine}}}}}}
"""
    status = up(_plan(text, tmp_path), runs=runs).wait(60)
    assert status["state"] == "succeeded"
    said = json.loads((tmp_path / "said").read_text())
    assert set(STALE) & set(said) == {"RANK"}
    assert (said["RANK"], said["NO_PROXY"]) == ("99", "mine")
    assert said["http_proxy"] == "http://127.0.0.1:9"
    assert "127.0.0.1" in said["no_proxy"].split(",")


def test_a_run_inside_a_task_has_its_own_environment(tmp_path: Path, runs: Path) -> None:
    job = f'chief: {{run: [{sys.executable}, -c, "{SAYS}"]}}'
    inner = f"cluster: inner\nframework: none\njobs: {{{job}}}"
    (tmp_path / "inner.yaml").write_text(inner)
    text = f"""
cluster: outer
framework: torch
jobs: {{worker: {{run: [{sys.executable}, -m, tenfold, up, inner.yaml, --runs, inner],
  preload: none}}}}
"""
    os.environ.pop("TENFOLD_TASK", None)
    status = up(_plan(text, tmp_path), runs=runs).wait(120)
    assert status["state"] == "succeeded", status["reason"]
    said = json.loads((tmp_path / "said").read_text())
    assert said["TENFOLD_CLUSTER"] == "inner"
    assert not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "TORCHELASTIC_RUN_ID"} & set(said)


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)
def test_tensorflow_s_tasks_reach_each_other_past_a_dead_proxy(
    tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    (tmp_path / "train.py").write_text("""
import json, os
import tensorflow as tf
addresses = json.loads(os.environ["TF_CONFIG"])["cluster"]["ps"]
tf.config.experimental_connect_to_host(addresses, job_name="ps")
with tf.device("/job:ps/task:0"):
    print("sum", (tf.constant(1.0) + 2.0).numpy())
""")
    text = f"""
cluster: c
framework: tensorflow
jobs:
  chief: {{run: [{sys.executable}, train.py], after: ps}}
  ps: {{tasks: 1}}
"""
    status = up(_plan(text, tmp_path), runs=runs).wait(180)
    assert status["state"] == "succeeded", status["reason"]
