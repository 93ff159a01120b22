"""The options of launchers: which take a value, and what becomes of each.

A meaning is one of: `per-node`, `nodes`, `total` (numbers of processes), `restarts`, `module`,
`no-python`, `use-env`, `export`, `config-file`, `silent` (nothing is lost), `env:NAME` (a variable
with this value), `slurm:NAME` (an option of sbatch), or a sentence that tells why it was dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_ADDRESSES = "tenfold knows the addresses of all tasks"
_LOGS = "tenfold keeps the output of every task: tenfold logs"
_WATCHES = "tenfold supervises the tasks itself"
_PLACES = "tenfold places the tasks; set resources"


@dataclass(frozen=True, slots=True)
class LauncherOptions:
    """The options of one launcher.

    Attributes:
        values: options with a value, by their canonical name, and their meanings.
        flags: options without a value.
        runs_python: whether it runs a script with Python by itself.
        local_rank: whether it passes `--local_rank=N` to the script.
    """

    values: dict[str, str] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    runs_python: bool = True
    local_rank: bool = False

    def canonical(self, name: str) -> str:
        """`--nproc-per-node` for `--nproc_per_node`."""
        return f"--{name[2:].replace('_', '-')}" if name.startswith("--") else name

    def meaning(self, key: str) -> str:
        """What becomes of an option. `unknown` if this is not known."""
        return self.values.get(key) or self.flags.get(key) or _by_beginning(key) or "unknown"

    def arguments(self, key: str, following: Sequence[str]) -> int:
        """The number of words after an option that belong to it."""
        if key in self.flags or not following:
            return 0
        if key in ("-mca", "--mca", "-gmca", "--gmca"):
            return 2
        if key in self.values:
            return 1
        after = following[0]
        return 0 if after.startswith("-") or after.endswith(".py") or "/" in after else 1


def _by_beginning(key: str) -> str | None:
    """The meaning of options of which there are many."""
    if key.startswith(("--rdzv", "--master", "--main-process")):
        return _ADDRESSES
    if key.startswith("--fsdp-"):
        return f"env:FSDP_{key[7:].replace('-', '_').upper()}"
    if key.startswith("--megatron-lm-"):
        return f"env:MEGATRON_LM_{key[14:].replace('-', '_').upper()}"
    if key.startswith("--parallelism-config-"):
        return f"env:PARALLELISM_CONFIG_{key[21:].replace('-', '_').upper()}"
    return None


_TORCHRUN = LauncherOptions(
    values={
        "--nproc-per-node": "per-node",
        "--nnodes": "nodes",
        "--max-restarts": "restarts",
        "--node-rank": "tenfold numbers the nodes",
        "--rdzv-backend": _ADDRESSES,
        "--rdzv-endpoint": _ADDRESSES,
        "--rdzv-id": _ADDRESSES,
        "--rdzv-conf": _ADDRESSES,
        "--master-addr": _ADDRESSES,
        "--master-port": _ADDRESSES,
        "--local-addr": _ADDRESSES,
        "--monitor-interval": _WATCHES,
        "--start-method": _WATCHES,
        "--role": "ROLE_NAME is the name of the job",
        "--log-dir": _LOGS,
        "--redirects": _LOGS,
        "-r": _LOGS,
        "--tee": _LOGS,
        "-t": _LOGS,
        "--local-ranks-filter": _LOGS,
        "--duplicate-stdout-filters": _LOGS,
        "--duplicate-stderr-filters": _LOGS,
        "--logs-specs": _LOGS,
        "--numa-binding": _PLACES,
        "--event-log-handler": _LOGS,
        "--signals-to-handle": _WATCHES,
    },
    flags={
        "--standalone": "silent",
        "-m": "module",
        "--module": "module",
        "--no-python": "no-python",
        "--run-path": "the script runs as __main__ of a plain python",
        "--use-env": "use-env",
        "--no-rdzv": "silent",
    },
)

_DYNAMO = "env:ACCELERATE_DYNAMO"

_ACCELERATE = LauncherOptions(
    values={
        "--num-processes": "total",
        "--num-machines": "nodes",
        "--max-restarts": "restarts",
        "--machine-rank": "tenfold numbers the machines",
        "--main-process-ip": _ADDRESSES,
        "--main-process-port": _ADDRESSES,
        "--same-network": _ADDRESSES,
        "--rdzv-backend": _ADDRESSES,
        "--rdzv-conf": _ADDRESSES,
        "--config-file": "config-file",
        "--mixed-precision": "env:ACCELERATE_MIXED_PRECISION",
        "--gradient-accumulation-steps": "env:ACCELERATE_GRADIENT_ACCUMULATION_STEPS",
        "--gradient-clipping": "env:ACCELERATE_GRADIENT_CLIPPING",
        "--gpu-ids": "env:CUDA_VISIBLE_DEVICES",
        "--num-cpu-threads-per-process": "env:OMP_NUM_THREADS",
        "--dynamo-backend": f"{_DYNAMO}_BACKEND",
        "--dynamo-mode": f"{_DYNAMO}_MODE",
        "--zero-stage": "env:ACCELERATE_DEEPSPEED_ZERO_STAGE",
        "--offload-optimizer-device": "env:ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE",
        "--offload-param-device": "env:ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE",
        "--zero3-init-flag": "env:ACCELERATE_DEEPSPEED_ZERO3_INIT",
        "--zero3-save-16bit-model": "env:ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL",
        "--deepspeed-config-file": "env:ACCELERATE_DEEPSPEED_CONFIG_FILE",
        "--deepspeed-hostfile": _ADDRESSES,
        "--deepspeed-multinode-launcher": _PLACES,
        "--fsdp-transformer-layer-cls-to-wrap": "env:FSDP_TRANSFORMER_CLS_TO_WRAP",
        "--fsdp-auto-wrap-policy": "env:FSDP_AUTO_WRAP_POLICY",
        "--monitor-interval": _WATCHES,
        "--main-training-function": "a script has no such function outside a TPU",
        "--role": "ROLE_NAME is the name of the job",
        "--tee": _LOGS,
        "--log-dir": _LOGS,
        "--mpirun-hostfile": _ADDRESSES,
        "--mpirun-ccl": _ADDRESSES,
        "--env": "export",
    },
    flags={
        "--multi-gpu": "silent",
        "--quiet": "silent",
        "-q": "silent",
        "--cpu": "env:ACCELERATE_USE_CPU",
        "--use-cpu": "env:ACCELERATE_USE_CPU",
        "--debug": "env:ACCELERATE_DEBUG_MODE",
        "--use-deepspeed": "env:ACCELERATE_USE_DEEPSPEED",
        "--use-fsdp": "env:ACCELERATE_USE_FSDP",
        "--use-megatron-lm": "env:ACCELERATE_USE_MEGATRON_LM",
        "--use-parallelism-config": "env:ACCELERATE_USE_PARALLELISM_CONFIG",
        "--enable-cpu-affinity": "env:ACCELERATE_CPU_AFFINITY",
        "--dynamo-use-fullgraph": f"{_DYNAMO}_USE_FULLGRAPH",
        "--dynamo-use-dynamic": f"{_DYNAMO}_USE_DYNAMIC",
        "--tpu": "tenfold starts no processes on TPUs",
        "-m": "module",
        "--module": "module",
        "--no-python": "no-python",
    },
)

_DEEPSPEED = LauncherOptions(
    values={
        "--num-gpus": "per-node",
        "--num-accelerators": "per-node",
        "--num-nodes": "nodes",
        "--hostfile": "name the machines for --on ssh, or the nodes of Slurm",
        "-H": "name the machines for --on ssh, or the nodes of Slurm",
        "--include": "choose GPUs with CUDA_VISIBLE_DEVICES under env",
        "-i": "choose GPUs with CUDA_VISIBLE_DEVICES under env",
        "--exclude": "choose GPUs with CUDA_VISIBLE_DEVICES under env",
        "-e": "choose GPUs with CUDA_VISIBLE_DEVICES under env",
        "--master-addr": _ADDRESSES,
        "--master-port": _ADDRESSES,
        "--node-rank": "tenfold numbers the nodes",
        "--launcher": _PLACES,
        "--launcher-args": _PLACES,
        "--ssh-port": _PLACES,
        "--save-pid": _WATCHES,
        "--enable-each-rank-log": _LOGS,
        "--autotuning": "tenfold runs the training, not the autotuner",
        "--elastic-training": "the group has a fixed size",
        "--min-elastic-nodes": "the group has a fixed size",
        "--max-elastic-nodes": "the group has a fixed size",
        "--bind-core-list": _PLACES,
        "--venv-script": "use the interpreter of the environment in run",
    },
    flags={
        "--no-ssh": "silent",
        "--no-ssh-check": "silent",
        "--force-multi": "silent",
        "--module": "module",
        "--no-python": "no-python",
        "--no-local-rank": "use-env",
        "--bind-cores-to-rank": _PLACES,
    },
    local_rank=True,
)

_FABRIC = LauncherOptions(
    values={
        "--devices": "per-node",
        "--num-nodes": "nodes",
        "--nodes": "nodes",
        "--node-rank": "tenfold numbers the nodes",
        "--main-address": _ADDRESSES,
        "--main-port": _ADDRESSES,
        "--accelerator": "env:LT_ACCELERATOR",
        "--strategy": "env:LT_STRATEGY",
        "--precision": "env:LT_PRECISION",
    },
)

_PLACE_VALUES = [
    "--cpu-bind",
    "--gpu-bind",
    "--mem-bind",
    "--distribution",
    "-m",
    "--mpi",
    "--network",
    "--kill-on-bad-exit",
    "-K",
    "--container-image",
    "--container-mounts",
    "--container-workdir",
    "--container-name",
    "--nodelist",
    "-w",
    "--exclude",
    "-x",
    "--hint",
    "--propagate",
    "--time-min",
    "--wait",
    "-W",
    "--relative",
    "-r",
    "--threads-per-core",
    "--sockets-per-node",
    "--cores-per-socket",
    "--ntasks-per-gpu",
    "--ntasks-per-socket",
    "--het-group",
    "--accel-bind",
    "--cpu-freq",
    "--epilog",
    "--prolog",
    "--task-epilog",
    "--task-prolog",
    "--environment",
]

_SRUN = LauncherOptions(
    values={
        **dict.fromkeys(_PLACE_VALUES, _PLACES),
        "--ntasks": "slurm:ntasks",
        "-n": "slurm:ntasks",
        "--nodes": "slurm:nodes",
        "-N": "slurm:nodes",
        "--ntasks-per-node": "slurm:ntasks-per-node",
        "--gres": "slurm:gres",
        "--gpus": "slurm:gpus",
        "-G": "slurm:gpus",
        "--gpus-per-node": "slurm:gpus-per-node",
        "--gpus-per-task": "slurm:gpus-per-task",
        "--cpus-per-task": "slurm:cpus-per-task",
        "-c": "slurm:cpus-per-task",
        "--mem": "slurm:mem",
        "--mem-per-cpu": "slurm:mem-per-cpu",
        "--mem-per-gpu": "slurm:mem-per-gpu",
        "--partition": "slurm:partition",
        "-p": "slurm:partition",
        "--account": "slurm:account",
        "-A": "slurm:account",
        "--qos": "slurm:qos",
        "-q": "slurm:qos",
        "--constraint": "slurm:constraint",
        "-C": "slurm:constraint",
        "--time": "slurm:time",
        "-t": "slurm:time",
        "--job-name": "slurm:job-name",
        "-J": "slurm:job-name",
        "--output": _LOGS,
        "-o": _LOGS,
        "--error": _LOGS,
        "-e": _LOGS,
        "--input": _LOGS,
        "-i": _LOGS,
        "--export": "set variables under env",
        "--chdir": "set workdir",
        "-D": "set workdir",
        "--jobid": "tenfold submits a job of its own",
    },
    flags={
        **dict.fromkeys(
            ["-l", "--label", "-u", "--unbuffered", "-v", "--verbose", "-Q", "--quiet"], "silent"
        ),
        **dict.fromkeys(
            ["--exclusive", "--exact", "--overlap", "--overcommit", "-O", "-s"], _PLACES
        ),
        "--no-kill": _WATCHES,
        "-k": _WATCHES,
        "--pty": _LOGS,
    },
    runs_python=False,
)

_MPIRUN = LauncherOptions(
    values={
        **dict.fromkeys(("-np", "-n", "--np", "--n", "-c"), "total"),
        **dict.fromkeys(("-N", "--npernode", "-npernode", "-ppn"), "per-node"),
        **dict.fromkeys(("-mca", "--mca", "-gmca", "--gmca", "--pmixmca"), "there is no MPI in it"),
        **dict.fromkeys(
            ("-H", "-host", "--host", "-hostfile", "--hostfile", "-machinefile", "--machinefile"),
            _PLACES,
        ),
        **dict.fromkeys(("--map-by", "-map-by", "--bind-to", "-bind-to", "--rank-by"), _PLACES),
        "-x": "export",
        "-genv": "set variables under env",
        "--wdir": "set workdir",
        "-wdir": "set workdir",
        "--output-filename": _LOGS,
        "--prefix": _PLACES,
    },
    flags={
        "--allow-run-as-root": "silent",
        "--oversubscribe": "silent",
        "-oversubscribe": "silent",
        "--tag-output": _LOGS,
        "-tag-output": _LOGS,
        "--bind-to-none": _PLACES,
        "-v": "silent",
        "-q": "silent",
    },
    runs_python=False,
)

LAUNCHERS = {
    "torchrun": _TORCHRUN,
    "torch.distributed.launch": LauncherOptions(_TORCHRUN.values, _TORCHRUN.flags, local_rank=True),
    "accelerate launch": _ACCELERATE,
    "deepspeed": _DEEPSPEED,
    "fabric run": _FABRIC,
    "srun": _SRUN,
    "mpirun": _MPIRUN,
}
"""The options of every launcher, by its name."""
