"""Slurm as it can be found: absent, without a cluster, with a controller that is down, and up."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tenfold.cells.slurm.doctor import COMMANDS, PAGE
from tenfold.cells.slurm.doctor import slurm as found_slurm
from tests.doctor.conftest import Programs
from tests.engines.slurm import NODES, Slurm

UP = "Slurmctld(primary) at head is UP\n"
DOWN = "Slurmctld(primary) at head is DOWN\n** RESTORE SLURMCTLD DAEMON TO SERVICE **\n"
UNCONFIGURED = (
    "scontrol: error: fetch_config: DNS SRV lookup failed\n"
    "scontrol: fatal: Could not establish a configuration source\n"
)
CONFIGURATION = """
ClusterName=nobody
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=1
AuthType=auth/none
CredType=cred/none
NodeName=n1 CPUs=1
PartitionName=p Nodes=n1 Default=YES
"""


def commands(programs: Programs, but: tuple[str, ...] = ()) -> None:
    for name in COMMANDS:
        if name not in but:
            programs.says(name)


def with_nodes(programs: Programs, nodes: str, ping: str = UP) -> None:
    commands(programs)
    programs.says("scontrol", ping)
    programs.put(
        "sinfo", f'case $1 in --version) echo "slurm 22.05.8";; *) printf "{nodes}";; esac'
    )


@pytest.mark.usefixtures("programs")
def test_missing_slurm_commands_are_reported() -> None:
    found = found_slurm()
    assert (found.area, found.name, found.state) == ("cell", "slurm", "missing")
    assert found.hint == f"see {PAGE}"


def test_partly_installed_slurm_is_broken(programs: Programs) -> None:
    commands(programs, but=("srun", "squeue"))
    found = found_slurm()
    assert (found.state, found.message) == (
        "broken",
        "the commands srun and squeue of Slurm cannot be found",
    )


def test_a_missing_slurm_conf_is_reported(programs: Programs) -> None:
    commands(programs)
    programs.says("scontrol", "", UNCONFIGURED, 1)
    found = found_slurm()
    assert found.state == "broken"
    assert "find no slurm.conf" in found.message
    assert "SLURM_CONF" in (found.hint or "")


def test_the_controller_is_down(programs: Programs) -> None:
    commands(programs)
    programs.says("scontrol", DOWN, "", 1)
    found = found_slurm()
    assert (found.state, found.message) == ("broken", "slurmctld on head does not respond")
    assert found.hint


def test_munge_is_down(programs: Programs) -> None:
    commands(programs)
    words = "scontrol: error: If munged is up, restart with --num-threads=10\nMunge encode failed"
    programs.says("scontrol", DOWN, words, 1)
    found = found_slurm()
    assert "munge" in found.message
    assert "munge" in (found.hint or "")
    assert "start" in (found.hint or "")


def test_a_cluster_that_is_up(programs: Programs) -> None:
    with_nodes(programs, r"2 idle\n1 mix-\n1 down*\n3 idle*\n1 drain\n1 alloc\n")
    found = found_slurm()
    assert (found.state, found.version, found.hint) == ("ok", "22.05.8", None)
    assert found.message == "slurmctld on head responds; 4 of 9 nodes up"


def test_the_second_controller_will_do(programs: Programs) -> None:
    with_nodes(programs, r"1 idle\n", DOWN + UP.replace("head", "spare").replace("prim", "second"))
    assert found_slurm().message == "slurmctld on spare responds; 1 of 1 nodes up"


def test_no_node_is_up(programs: Programs) -> None:
    with_nodes(programs, r"3 down*\n")
    found = found_slurm()
    assert found.state == "warning"
    assert "none of its 3 nodes can be used" in found.message
    assert found.hint


def test_a_command_that_hangs(programs: Programs) -> None:
    commands(programs)
    programs.put("scontrol", "/bin/sleep 600; exit 0")
    found = found_slurm(0.5)
    assert (found.state, found.message) == ("broken", "Slurm gives no response within 0.5 s")


def test_nodes_that_hang(programs: Programs) -> None:
    with_nodes(programs, "")
    programs.put("sinfo", "/bin/sleep 600; exit 0")
    found = found_slurm(1)
    assert (found.state, found.version) == ("warning", None)


@pytest.mark.skipif(shutil.which("scontrol") is None, reason="Slurm's commands are not here")
def test_the_commands_here_without_a_controller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "slurm.conf"
    conf.write_text(CONFIGURATION)
    monkeypatch.setenv("SLURM_CONF", str(conf))
    found = found_slurm()
    assert found.state == "broken"
    assert "does not respond" in found.message
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "nothing"))
    assert found_slurm(2).state == "broken"  # the commands here would look for it for a minute


def test_a_real_cluster(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = found_slurm()
    assert (found.state, found.hint) == ("ok", None)
    assert found.version is not None
    assert found.message.endswith(f" responds; {len(NODES)} of {len(NODES)} nodes up")
    without_munge = tmp_path / "slurm.conf"
    text = slurm.configuration.read_text()
    without_munge.write_text(text.replace(f"socket={slurm.directory}", "socket=/nonexistent"))
    monkeypatch.setenv("SLURM_CONF", str(without_munge))
    found = found_slurm()
    assert found.state == "broken"
    assert "munge" in found.message
