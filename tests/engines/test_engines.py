"""The engines do what tests of cells rely on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import wait_for
from tests.engines.docker import LABEL, DockerEngine
from tests.engines.slurm import Slurm

PARALLEL = """\
#!/bin/sh
for node in n1 n2 n3 n4; do
  srun --exact -N1 -n1 -w $node sh -c 'echo $SLURMD_NODENAME' &
done
wait
"""

HETEROGENEOUS = """\
#!/bin/sh
#SBATCH --nodes=1 --ntasks=2
#SBATCH hetjob
#SBATCH --nodes=2 --ntasks=4
srun --het-group=0 sh -c 'echo first $SLURMD_NODENAME' &
srun --het-group=1 sh -c 'echo second $SLURMD_NODENAME' &
wait
"""


def submit(slurm: Slurm, script: str, place: Path, *options: str) -> tuple[str, Path]:
    """Submit; the job's id, and where its output goes."""
    file, output = place / "job.sh", place / "output"
    file.write_text(script)
    return slurm.run("sbatch", "--parsable", *options, "--output", str(output), str(file)), output


def over(slurm: Slurm, job: str) -> bool:
    return not any(name.partition("+")[0] == job for name in slurm.jobs())


def lines(output: Path) -> list[str]:
    """Sorted lines of a job's output; steps that run at once write in any order."""
    return sorted(output.read_text().splitlines()) if output.exists() else []


def test_slurm_runs_steps_on_four_nodes_at_once(slurm: Slurm, tmp_path: Path) -> None:
    job, output = submit(slurm, PARALLEL, tmp_path, "--nodes=4", "--ntasks=4")
    wait_for(lambda: over(slurm, job), 60)
    assert lines(output) == ["n1", "n2", "n3", "n4"]


def test_slurm_runs_the_parts_of_a_heterogeneous_job(slurm: Slurm, tmp_path: Path) -> None:
    job, output = submit(slurm, HETEROGENEOUS, tmp_path)
    wait_for(lambda: over(slurm, job), 60)
    parts = [line.split() for line in lines(output)]
    assert [part for part, _ in parts] == ["first"] * 2 + ["second"] * 4
    assert len({node for part, node in parts if part == "second"}) == 2


def test_slurm_cancels_a_running_job(slurm: Slurm, tmp_path: Path) -> None:
    job, _ = submit(slurm, "#!/bin/sh\nexec sleep 600\n", tmp_path)
    wait_for(lambda: slurm.jobs().get(job) == "RUNNING", 60)
    slurm.run("scancel", job)
    wait_for(lambda: slurm.jobs("CANCELLED").get(job) == "CANCELLED", 60)


def test_a_killed_slurm_node_takes_its_processes_along_and_can_restart(
    slurm: Slurm, tmp_path: Path
) -> None:
    mark = str(tmp_path / "sleeper")
    Path(mark).symlink_to("/bin/sleep")
    script = f"#!/bin/sh\nexec {mark} 600\n"
    job, _ = submit(slurm, script, tmp_path, "-w", "n2", "--no-requeue")
    wait_for(lambda: running(mark), 60)
    slurm.kill_node("n2")
    assert not running(mark)
    assert slurm.jobs("NODE_FAIL") == {job: "NODE_FAIL"}
    slurm.start_node("n2")
    assert slurm.run("srun", "-w", "n2", "sh", "-c", "echo $SLURMD_NODENAME") == "n2"


def running(program: str) -> bool:
    """Whether a process was started as `program`."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes().split(b"\0")[0] == program.encode():
                return True
        except OSError:
            continue
    return False


def test_a_container_reaches_another_by_name(docker_engine: DockerEngine, base_image: str) -> None:
    docker = docker_engine.docker
    network = docker("network", "create", "--label", LABEL, "tenfold-test-engines")
    options = ("--network", network, "--name", "tenfold-test-server")
    serve = ("python", "-m", "http.server", "8000", "--directory", "/etc")
    server = docker_engine.start(base_image, *serve, options=options)
    ask = (
        "import time, urllib.request\n"
        "for _ in range(100):\n"
        "    try: print(urllib.request.urlopen('http://tenfold-test-server:8000/debian_version')"
        ".read().decode()); break\n"
        "    except OSError: time.sleep(0.1)\n"
    )
    try:
        version = docker("run", "--rm", "--network", network, base_image, "python", "-c", ask)
        assert version.startswith("12")
    finally:
        docker("rm", "--force", server)
        docker("network", "rm", network)


@pytest.mark.parametrize("user", ["tenfold", "4242:4242"])
def test_the_light_image_runs_tenfold_as_anyone(
    docker_engine: DockerEngine, light_image: str, user: str
) -> None:
    options = ("--rm", "--read-only", "--user", user, light_image)
    command = ("env", "-u", "HOME", "tenfold", "--version")
    assert docker_engine.docker("run", *options, *command).startswith("tenfold")


def test_the_full_image_has_the_versions_of_its_constraints(
    docker_engine: DockerEngine, tenfold_image: str
) -> None:
    options = ("--rm", "--read-only", "--network", "none", tenfold_image)
    listed = docker_engine.docker("run", *options, "pip", "freeze", "--all").splitlines()
    pinned = docker_engine.docker("run", *options, "cat", "/opt/tenfold/constraints.txt")
    assert names(listed) - {"pip", "tenfold"} <= names(pinned.splitlines())
    assert "No broken requirements" in docker_engine.docker("run", *options, "pip", "check")


def names(requirements: list[str]) -> set[str]:
    """The names of `name==version` and `name @ place` lines, as they are compared."""
    stated = [line for line in requirements if line and not line.startswith("#")]
    return {line.replace("==", " ").split()[0].lower().replace("_", "-") for line in stated}


def test_a_failing_docker_command_reports_the_reason(docker_engine: DockerEngine) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        docker_engine.docker("inspect", "tenfold-test-nothing")
    assert "tenfold-test-nothing" in "".join(caught.value.__notes__)
