"""Words of compose, torchrun and Slurm, and how a cluster file says the same.

Owns: hints for keys and values that people know from other tools. Leaves to others: when a key is
unknown (`spec`) and where it stands (`file`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tenfold.base.secrets import is_secret


class ForeignWord(NamedTuple):
    """What a word of another tool is here.

    Attributes:
        tool: whose word it is.
        key: the key beside it that means the same, or None.
        hint: what to write instead, if there is no such key.
    """

    tool: str
    key: str | None = None
    hint: str = ""

    def __str__(self) -> str:
        if self.key is not None:
            return f"did you mean {self.key}? {self.hint}".rstrip() + f" (from {self.tool})"
        return f"{self.hint} (from {self.tool})"


_COMPOSE, _TORCHRUN, _SLURM, _KUBERNETES = "compose", "torchrun", "Slurm", "Kubernetes"
_ADDRESSES = "remove it: tenfold knows the addresses of all tasks"
_MOUNTS = "write cells: {docker: {mounts: [HOST:CONTAINER]}} at the top"
_NETWORK = "remove it: tasks of a run share a network, closed to the outside"
_NUMBERS = "remove it: tenfold numbers the tasks"

_OF_TASKS = {
    "command": ForeignWord(_COMPOSE, "run"),
    "entrypoint": ForeignWord(_COMPOSE, "run", "It has the whole command"),
    "cmd": ForeignWord(_COMPOSE, "run"),
    "args": ForeignWord(_KUBERNETES, "run", "It has the whole command"),
    "script": ForeignWord("accelerate", "run", "As in run: python train.py"),
    "program": ForeignWord("supervisord", "run"),
    "replicas": ForeignWord(_COMPOSE, "tasks"),
    "scale": ForeignWord(_COMPOSE, "tasks"),
    "numprocs": ForeignWord("supervisord", "tasks"),
    "nproc_per_node": ForeignWord(_TORCHRUN, "tasks", "It counts the tasks of all nodes"),
    "nnodes": ForeignWord(_TORCHRUN, "tasks", "It counts the tasks of all nodes"),
    "world_size": ForeignWord(_TORCHRUN, "tasks"),
    "num_processes": ForeignWord("accelerate", "tasks"),
    "num_machines": ForeignWord("accelerate", "tasks", "It counts the tasks of all machines"),
    "num_gpus": ForeignWord("deepspeed", "tasks", "With resources: {gpu: 1} for each"),
    "num_nodes": ForeignWord("Lightning", "tasks", "It counts the tasks of all nodes"),
    "devices": ForeignWord("Lightning", "tasks", "With resources: {gpu: 1} for each"),
    "ntasks": ForeignWord(_SLURM, "tasks"),
    "ntasks_per_node": ForeignWord(_SLURM, "tasks", "It counts the tasks of all nodes"),
    "environment": ForeignWord(_COMPOSE, "env"),
    "env_file": ForeignWord(
        _COMPOSE, "env", "Files are not read; `tenfold init --from` copies one"
    ),
    "depends_on": ForeignWord(_COMPOSE, "after", "As in after: {ps: ready}"),
    "links": ForeignWord(_COMPOSE, "after", "As in after: {ps: started}"),
    "working_dir": ForeignWord(_COMPOSE, "workdir"),
    "chdir": ForeignWord(_SLURM, "workdir"),
    "healthcheck": ForeignWord(_COMPOSE, "ready", "As in ready: {command: curl localhost:80}"),
    "readiness_probe": ForeignWord(_KUBERNETES, "ready"),
    "max_restarts": ForeignWord(_TORCHRUN, "restart", "As {policy: on-failure, limit: 3}"),
    "restart_policy": ForeignWord(_COMPOSE, "restart"),
    "expose": ForeignWord(_COMPOSE, "ports"),
    "network_mode": ForeignWord(_COMPOSE, "network"),
    "deploy": ForeignWord(_COMPOSE, None, "write tasks: N and resources: {cpu: …, memory: …}"),
    "gpus": ForeignWord(_COMPOSE, None, "write resources: {gpu: 1}"),
    "gres": ForeignWord(_SLURM, None, "write resources: {gpu: 1}"),
    "gpus_per_node": ForeignWord(_SLURM, None, "write resources: {gpu: 1} for each task"),
    "gpus_per_task": ForeignWord(_SLURM, None, "write resources: {gpu: 1}"),
    "cpus_per_task": ForeignWord(_SLURM, None, "write resources: {cpu: 4}"),
    "cpus": ForeignWord(_COMPOSE, None, "write resources: {cpu: 4}"),
    "mem": ForeignWord(_SLURM, None, "write resources: {memory: 2GiB}"),
    "mem_limit": ForeignWord(_COMPOSE, None, "write resources: {memory: 2GiB}"),
    "volumes": ForeignWord(_COMPOSE, None, _MOUNTS),
    "shm_size": ForeignWord(_COMPOSE, None, "write cells: {docker: {shm_size: 2GiB}} at the top"),
    "networks": ForeignWord(_COMPOSE, None, _NETWORK),
    "container_name": ForeignWord(_COMPOSE, None, "remove it: task 0 of worker is called worker-0"),
    "hostname": ForeignWord(_COMPOSE, None, "remove it: task 0 of worker is called worker-0"),
    "profiles": ForeignWord(_COMPOSE, None, "write a second file with `extends`"),
    "secrets": ForeignWord(_COMPOSE, "secret", "It names variables of env"),
    "master_addr": ForeignWord(_TORCHRUN, None, _ADDRESSES),
    "master_port": ForeignWord(_TORCHRUN, None, _ADDRESSES),
    "rdzv_backend": ForeignWord(_TORCHRUN, None, _ADDRESSES),
    "rdzv_endpoint": ForeignWord(_TORCHRUN, None, _ADDRESSES),
    "rdzv_id": ForeignWord(_TORCHRUN, None, _ADDRESSES),
    "main_process_ip": ForeignWord("accelerate", None, _ADDRESSES),
    "main_process_port": ForeignWord("accelerate", None, _ADDRESSES),
    "standalone": ForeignWord(_TORCHRUN, None, _ADDRESSES),
    "node_rank": ForeignWord(_TORCHRUN, None, _NUMBERS),
    "machine_rank": ForeignWord("accelerate", None, _NUMBERS),
    "rank": ForeignWord(_TORCHRUN, None, _NUMBERS),
    "nodes": ForeignWord(_SLURM, "tasks", "The cell places them"),
    "time": ForeignWord(_SLURM, None, "write cells: {slurm: {time: 2:00:00}} at the top"),
    "partition": ForeignWord(_SLURM, None, "write cells: {slurm: {partition: gpu}} at the top"),
    "account": ForeignWord(_SLURM, None, "write cells: {slurm: {account: NAME}} at the top"),
    "modules": ForeignWord(_SLURM, None, "write cells: {slurm: {setup: module load …}} at the top"),
}

_OF_FILES = {
    "services": ForeignWord(
        _COMPOSE, "jobs", "To convert a compose file: tenfold init --from compose.yaml"
    ),
    "processes": ForeignWord("process-compose", "jobs"),
    "roles": ForeignWord("torchx", "jobs"),
    "tasks_spec": ForeignWord(_KUBERNETES, "jobs"),
    "job_name": ForeignWord(_SLURM, "cluster"),
    "name": ForeignWord(_COMPOSE, "cluster"),
    "version": ForeignWord(_COMPOSE, None, "remove it"),
    "include": ForeignWord(_COMPOSE, "extends"),
    "configs": ForeignWord(_COMPOSE, None, "remove it: tasks read the files of the project"),
    "environment": ForeignWord(_COMPOSE, "env"),
    "backend": ForeignWord(_TORCHRUN, "framework"),
    "distributed_type": ForeignWord("accelerate", "framework", "As in framework: torch"),
}

_VALUES = {
    "service_started": "started",
    "service_healthy": "ready",
    "service_completed_successfully": "succeeded",
    "healthy": "ready",
    "completed": "succeeded",
    "unless-stopped": "always",
    "no": "never",
    "OnFailure": "on-failure",
}

_FRAMEWORKS = {
    "pytorch": "torch",
    "ddp": "torch",
    "fsdp": "torch",
    "lightning": "torch",
    "accelerate": "torch",
    "deepspeed": "torch",
    "transformers": "torch",
    "huggingface": "torch",
    "torchrun": "torch",
    "tf": "tensorflow",
    "keras": "tensorflow",
    "flax": "jax",
}

_CELLS = {
    "compose": "docker",
    "podman": "docker",
    "k8s": "kubernetes",
    "sbatch": "slurm",
    "srun": "slurm",
    "localhost": "local",
}


def foreign_key(path: tuple[str | int, ...]) -> ForeignWord | None:
    """The word of another tool that the unknown key at `path` is, or None."""
    name = str(path[-1]).removeprefix("--").replace("-", "_").lower()
    if len(path) == 1:
        found = _OF_FILES.get(name) or _OF_TASKS.get(name)
        if found is None or name in _OF_FILES or found.key is None or found.key == "env":
            return found
        return ForeignWord(found.tool, None, f"write {found.key} below jobs.NAME")
    in_job = path[0] == "jobs" and len(path) in (3, 5)
    if in_job and (len(path) == 3 or path[3] == "overrides"):
        return _OF_TASKS.get(name)
    if path[-2] == "resources":
        return _OF_RESOURCES.get(name)
    return _OF_READY.get(name) if path[-2] == "ready" else None


_OF_RESOURCES = {
    "gpus": ForeignWord(_COMPOSE, "gpu"),
    "cpus": ForeignWord(_COMPOSE, "cpu"),
    "mem": ForeignWord(_SLURM, "memory"),
    "limits": ForeignWord(_COMPOSE, None, "write the values of limits here: cpu, memory, gpu"),
    "requests": ForeignWord(_KUBERNETES, None, "write the values here: cpu, memory, gpu"),
    "reservations": ForeignWord(_COMPOSE, None, "write gpu: 1"),
}
_OF_READY = {
    "test": ForeignWord(_COMPOSE, "command"),
    "exec": ForeignWord(_KUBERNETES, "command"),
    "http_get": ForeignWord(_KUBERNETES, "http"),
    "tcp_socket": ForeignWord(_KUBERNETES, "tcp"),
    "retries": ForeignWord(_COMPOSE, "timeout", "It is the time until a task fails"),
    "interval": ForeignWord(_COMPOSE, "timeout", "It is the time until a task fails"),
    "start_period": ForeignWord(_COMPOSE, "timeout", "It is the time until a task fails"),
}


def foreign_value(path: tuple[str | int, ...], value: object) -> str | None:
    """What to write instead of a value of another tool at `path`, or None."""
    key = str(path[-1]) if path else ""
    if isinstance(value, str):
        return _foreign_text(key, value)
    if isinstance(value, dict) and "condition" in value and "after" in path[-2:-1]:
        state = _VALUES.get(str(value["condition"]))
        return f"write {key}: {state}" if state else None
    if isinstance(value, list) and key == "ports" and path[0] == "jobs":
        found = re.search(r"(\d+)(?:/\w+)?$", str(value[0])) if value else None
        port = found[1] if found else "8080"
        return f"write ports: {{http: {port}}}, and publish: http to reach it on this machine"
    if isinstance(value, list) and key == "env":
        name, _, text = str(value[0] if value else "NAME=VALUE").partition("=")
        return f'write env: {{{name}: "{"…" if is_secret(name) else text}"}}'
    return None


def _foreign_text(key: str, value: str) -> str | None:
    if found := re.fullmatch(r"on-failure:(\d{1,5})", value):
        return f"write {{policy: on-failure, limit: {found[1]}}}"
    if value in _VALUES:
        return f"write {_VALUES[value]}"
    if key == "tasks" and value in ("gpu", "auto", "cpu"):
        return "write the number of tasks, one for each GPU"
    return None


def framework_meant(name: str) -> str | None:
    """The framework that a library or launcher of this name belongs to, or None."""
    return _FRAMEWORKS.get(name.lower())


def cell_meant(name: str) -> str | None:
    """The cell that people call by this name, or None."""
    return _CELLS.get(name.lower())
