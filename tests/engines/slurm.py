"""A Slurm of four nodes on this one machine: munged, slurmctld, four slurmds.

Each node is a PID namespace, so killing its first process ends the node as a power cut would:
slurmd, the steps, the tasks. All nodes share this machine's network and files. There is no
accounting (slurmdbd), so `sacct` answers nothing.

Every file of it is in one temporary directory that goes with the session. A Slurm of the machine's
own is neither used nor disturbed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.engines import packages
from tests.engines.daemons import Daemon, answers, new_directory

NODES = ("n1", "n2", "n3", "n4")
CORES = 8
"""Of each node, so that fifteen tasks fit; the machine below may have fewer."""
FIRST_PORT = 17000
START_LIMIT_S = 60.0
DOWN_LIMIT_S = 60.0

CONFIGURATION = """\
ClusterName=tenfold
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge/socket
CredType=cred/munge
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool/%n
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd-%n.pid
SwitchType=switch/none
MpiDefault=none
# No cgroups: they are not everywhere, and four nodes of one machine would share them.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
PropagateResourceLimits=CORE
# Cores and memory are what is given out, as on most clusters, and more of both than there is.
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
SlurmdParameters=config_overrides
# Everything at once: heterogeneous jobs are started by backfill alone.
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1,bf_hetjob_immediate
# A dead node is DOWN after 10 to 20 s; Slurm's own default is 300.
SlurmdTimeout=10
SlurmctldTimeout=10
MessageTimeout=5
KillWait=5
JobRequeue=1
ReturnToService=2
MinJobAge=3600
NodeName=n[1-4] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] \
CPUs={cores} Boards=1 SocketsPerBoard=1 CoresPerSocket={cores} ThreadsPerCore=1 RealMemory=64000
PartitionName=cpu Nodes=ALL Default=YES State=UP MaxTime=INFINITE
PartitionName=debug Nodes=ALL State=UP MaxTime=30
"""

NODE = 'trap "exit 0" TERM; "$@" & wait $!'
"""The first process of a node: a shell, that reaps what slurmd leaves to the first process."""


@dataclass
class Slurm:
    """A running Slurm. `os.environ["SLURM_CONF"]` points at it: its commands need nothing else."""

    directory: Path
    """Everything of it: slurm.conf, state, spool, log/*.log."""
    port: int = 0
    nodes: tuple[str, ...] = NODES
    partitions: tuple[str, ...] = ("cpu", "debug")
    """The first is the default."""
    daemons: dict[str, Daemon] = field(default_factory=dict, repr=False)
    """By name: munged, slurmctld, and the nodes that are up."""

    @property
    def configuration(self) -> Path:
        return self.directory / "slurm.conf"

    def run(self, *command: str, timeout_s: float = 60.0) -> str:
        """What a command of Slurm's printed, stripped; `CalledProcessError` with its words if it
        failed."""
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s
        )
        if done.returncode:
            error = subprocess.CalledProcessError(done.returncode, command)
            error.add_note((done.stdout + done.stderr)[-3000:])
            raise error
        return done.stdout.strip()

    def jobs(self, *states: str) -> dict[str, str]:
        """Jobs of these states, or those not over yet: id → state (`RUNNING`, `PENDING`, …)."""
        chosen = ("--states", ",".join(states)) if states else ()
        lines = self.run("squeue", "--noheader", "--format", "%i %T", *chosen).splitlines()
        return dict(line.split() for line in lines)

    def node_state(self, name: str) -> str:
        """`idle`, `mixed`, `allocated`, `down*`, … `*` marks a node that does not answer."""
        return self.run("sinfo", "--noheader", "-n", name, "-p", "cpu", "--format", "%T")

    def start_node(self, name: str) -> None:
        """When this returns, slurmctld gives jobs to the node. Fails the test after a minute."""
        if name not in self.daemons:
            self._start(name, *_node_command(name))
        usable = {"idle", "mixed", "allocated"}
        if not answers(lambda: self.node_state(name) in usable, START_LIMIT_S):
            pytest.fail(f"{name} is {self.node_state(name)}:\n{self._said(name)}")

    def kill_node(self, name: str, wait: bool = True) -> None:
        """Kill the node and everything on it, at once. With `wait`, returns when Slurm calls it
        down (10 to 20 s); fails the test after a minute."""
        self.daemons.pop(name).stop(number=signal.SIGKILL)
        if wait and not answers(lambda: self.node_state(name).startswith("down"), DOWN_LIMIT_S):
            pytest.fail(f"{name} was killed and is {self.node_state(name)}")

    def cancel_all(self) -> None:
        """When this returns no job is left, or 30 s have passed."""
        for job in self.jobs():
            self.run("scancel", job.partition("+")[0])
        answers(lambda: not self.jobs(), 30.0)

    def start(self) -> None:
        """Start everything; ends the test as `packages.missing` does if a part does not come up."""
        self._lay_out()
        self._start("munged", *_munged_command(self.directory / "munge"))
        self._expect(lambda: (self.directory / "munge/socket").exists(), "munged")
        self._start("slurmctld", "slurmctld", "-D")
        for name in self.nodes:
            self._start(name, *_node_command(name))
        self._expect(self._all_idle, *self.daemons)

    def stop(self) -> None:
        """Cancel every job and end every daemon. Never raises for what Slurm answers."""
        with contextlib.suppress(subprocess.SubprocessError):
            self.cancel_all()
        for name in (*self.nodes, "slurmctld", "munged"):
            if daemon := self.daemons.pop(name, None):
                daemon.stop(number=signal.SIGKILL if name in self.nodes else signal.SIGTERM)

    def _lay_out(self) -> None:
        # munged serves every user, and insists on being able to tell.
        self.directory.chmod(0o755)
        for part in ("munge", "state", "log", *(f"spool/{name}" for name in self.nodes)):
            (self.directory / part).mkdir(parents=True)
        key = self.directory / "munge/key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        self.port = free_ports(1 + len(self.nodes))
        self.configuration.write_text(
            CONFIGURATION.format(
                host=socket.gethostname(),
                directory=self.directory,
                port=self.port,
                first=self.port + 1,
                last=self.port + len(self.nodes),
                cores=CORES,
            )
        )

    def _start(self, name: str, *command: str) -> None:
        self.daemons[name] = Daemon(command, self.directory / f"log/{name}.log")

    def _all_idle(self) -> bool:
        try:
            return all(self.node_state(name) == "idle" for name in self.nodes)
        except subprocess.SubprocessError:
            return False

    def _expect(self, condition: object, *names: str) -> None:
        assert callable(condition)
        if not answers(condition, START_LIMIT_S, [self.daemons[name] for name in names]):
            packages.missing("Slurm does not come up:\n" + "\n".join(map(self._said, names)))

    def _said(self, name: str) -> str:
        return f"{name}: {self.daemons[name].said()}"


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A Slurm of four idle nodes, n1 to n4, with SLURM_CONF set in this process.

    At the end of the session every job is cancelled, every daemon ended, its directory removed.
    A test that kills a node starts it again.
    """
    packages.need(packages.SLURM)
    if os.geteuid() != 0:
        packages.missing("only root can start a Slurm of four nodes", False)
    made = Slurm(new_directory("slurm"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLURM_CONF", str(made.configuration))
        try:
            made.start()
            yield made
        finally:
            made.stop()
            shutil.rmtree(made.directory, ignore_errors=True)


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody has, below those that Linux gives out."""
    blocks = (range(first, first + count) for first in range(FIRST_PORT, FIRST_PORT + 2000, 20))
    for block in blocks:
        if all(map(_is_free, block)):
            return block[0]
    return packages.missing(f"no {count} ports in a row from {FIRST_PORT} on")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


def _munged_command(directory: Path) -> list[str]:
    """munged with a key, a socket and files of its own; it serves whoever knows the socket."""
    files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "seed-file": "seed"}
    options = [f"--{option}={directory / name}" for option, name in files.items()]
    return ["munged", "--foreground", "--force", *options]


def _node_command(name: str) -> list[str]:
    alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*alone, "sh", "-c", NODE, "node", "slurmd", "-D", "-N", name]
