"""The variables that a task inherits from the environment of `tenfold up`.

These are all that can be right in a run.

Owns: the names of variables that give a process its place in another launcher's cluster, and the
exceptions from proxies for the run's own addresses. Leaves to others: what the file says, which
always wins, and what a framework sets (`environment`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tenfold import frameworks
from tenfold.cluster.cell_table import CellTraits, traits
from tenfold.frameworks import Addresses

_OURS = "TENFOLD_"

_PLACES = frozenset(
    {
        "TF_CONFIG", "CLUSTER_SPEC",
        "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE",
        "ROLE_NAME", "ROLE_RANK", "ROLE_WORLD_SIZE", "NODE_RANK", "CROSS_RANK", "CROSS_SIZE",
        "LOCAL_SIZE", "MASTER_ADDR", "MASTER_PORT", "NCCL_COMM_ID",
        "JAX_COORDINATOR_ADDRESS", "JAX_COORDINATOR_PORT", "JAX_COORDINATOR_BIND_ADDRESS",
        "JAX_NUM_PROCESSES", "JAX_PROCESS_ID", "JAX_PROCESS_COUNT", "JAX_PARTITION_INDEX",
        "HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_HOSTNAME", "HOROVOD_CONTROLLER",
        "MPI_LOCALRANKID", "MPI_LOCALNRANKS", "MPIRUN_RANK", "MPIRUN_NPROCS",
        "RANK_ID", "RANK_SIZE", "RANK_TABLE_FILE",
        "NEURON_RT_ROOT_COMM_ID", "NEURON_PJRT_PROCESS_INDEX",
        "NEURON_PJRT_PROCESSES_NUM_DEVICES",
    }
)  # fmt: skip
"""Variables by which torchrun, MPI, Horovod and others identify a process."""

_LAUNCHERS = (
    "TORCHELASTIC_", "PET_", "SLURM_", "SLURMD_", "SRUN_", "OMPI_", "PMI_", "PMI2_", "PMIX_",
    "PRTE_", "PALS_", "MV2_COMM_WORLD_", "MPISPAWN_", "HYDI_", "FLUX_JOB_", "FLUX_TASK_",
    "FLUX_KVS_", "FLUX_PMI_", "JSM_NAMESPACE_", "LSB_", "HOROVOD_LOCAL_", "HOROVOD_CROSS_",
    "HOROVOD_GLOO_", "DMLC_", "PADDLE_TRAINER", "PADDLE_PSERVER", "PADDLE_CURRENT_ENDPOINT",
    "PADDLE_MASTER", "PADDLE_GLOBAL_", "PADDLE_LOCAL_", "PADDLE_NNODES",
)  # fmt: skip
"""Beginnings of such variables."""

_KEPT = ("SLURM_CONF", "OMPI_ALLOW_RUN_AS_ROOT", "OMPI_MCA_btl", "OMPI_MCA_pml", "OMPI_MCA_mtl",
         "OMPI_MCA_coll", "OMPI_MCA_opal")  # fmt: skip
"""Beginnings of similar variables that express a person's wish."""

_INTERFACES = frozenset(
    {
        "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "TP_SOCKET_IFNAME", "UCX_NET_DEVICES",
        "OMPI_MCA_btl_tcp_if_include", "OMPI_MCA_btl_tcp_if_exclude",
        "OMPI_MCA_oob_tcp_if_include", "OMPI_MCA_oob_tcp_if_exclude",
    }
)  # fmt: skip
"""Variables for network interfaces. A run on loopback has only one."""

_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "grpc_proxy"})
_EXCEPTIONS = ("no_proxy", "NO_PROXY")
_GRPC_EXCEPTIONS = "no_grpc_proxy"
_HERE = ("localhost", "127.0.0.1", "::1")
_MOST_EXCEPTIONS = 1000
"""The maximum number of host names in a variable. The kernel takes 128 KiB."""


def inheritable(
    environment: Mapping[str, str], cell: str, framework: str, addresses: Addresses
) -> dict[str, str]:
    """`environment` without `dropped` variables and loopback interfaces."""
    left_out = set(dropped(environment, cell, framework)) | _ours(environment)
    named = _INTERFACES.intersection(environment)
    if named and all(_is_loopback(host) for host in _hosts(addresses)):
        left_out |= named
    return {name: value for name, value in environment.items() if name not in left_out}


def dropped(environment: Iterable[str], cell: str, framework: str) -> list[str]:
    """Names of variables that no task on `cell` inherits, sorted.

    Variables of the cell's own batch system stay, except those that give a process its rank.
    These stay only for a framework that corrects them.
    """
    of_cell, corrected = traits(cell), frameworks.framework(framework).corrects_launcher
    return sorted(name for name in environment if _is_dropped(name, of_cell, corrected))


def _is_dropped(name: str, of_cell: CellTraits, corrected: bool) -> bool:
    if name in _PLACES:
        return True
    if name.startswith(of_cell.launcher_prefixes):
        return name in of_cell.launcher_ranks and not corrected
    return name.startswith(_LAUNCHERS) and not name.startswith(_KEPT)


def _ours(environment: Iterable[str]) -> set[str]:
    return {name for name in environment if name.startswith(_OURS)}


def past_proxies(environment: Mapping[str, str], addresses: Addresses) -> dict[str, str]:
    """Variables that let tasks reach each other without a proxy.

    The proxy is the one that `environment` names.

    What it excepts already stays excepted. Empty where there is no proxy.
    """
    if not any(name.lower() in _PROXIES and value for name, value in environment.items()):
        return {}
    said = [environment.get(name, "") for name in _EXCEPTIONS]
    own = _few([*_HERE, *_hosts(addresses)])
    both = _joined([*said, *own])
    grpc = environment.get(_GRPC_EXCEPTIONS, "")
    if everything := "*" in both.split(","):  # only as the whole value; gRPC does not know it
        both = "*"
    made = dict.fromkeys(_EXCEPTIONS, both)
    if grpc or everything:
        made[_GRPC_EXCEPTIONS] = _joined([grpc, *own])
    return made


def _joined(texts: Iterable[str]) -> str:
    words = (word.strip() for text in texts for word in text.split(","))
    return ",".join(dict.fromkeys(word for word in words if word))


def _few(hosts: list[str]) -> list[str]:
    """The hosts, or the domains of those in one if there are very many hosts."""
    if len(hosts) <= _MOST_EXCEPTIONS:
        return hosts
    short = [host if _is_address(host) else f".{host.partition('.')[2]}" if "." in host else host
             for host in hosts]  # fmt: skip
    return list(dict.fromkeys(short))[:_MOST_EXCEPTIONS]


def _hosts(addresses: Addresses) -> list[str]:
    each = (address for addresses_of_job in addresses.values() for address in addresses_of_job)
    found = (address.rpartition(":")[0].strip("[]") for address in each)
    return list(dict.fromkeys(host for host in found if host))


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _is_loopback(host: str) -> bool:
    return host in _HERE or (host.startswith("127.") and _is_address(host))
