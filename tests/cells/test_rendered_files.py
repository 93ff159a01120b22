"""compose.yaml and job.sbatch: as in the documentation, and taken by the engines' own tools."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tenfold.cells import client
from tenfold.cells.docker.compose import compose
from tenfold.cells.rendering import File, RenderLocations
from tenfold.cells.slurm.sbatch import sbatch
from tenfold.cluster.file import load
from tenfold.planning.plan import Plan, Task
from tenfold.planning.planner import plan
from tests.engines.docker import DockerEngine
from tests.plans import plan_of

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs/cells/examples"
WORD2VEC = ROOT / "examples/word2vec/tenfold.yaml"


def rendered(cell: str, places: RenderLocations) -> File:
    """The file of the 2016 cluster."""
    loaded = load(WORD2VEC)
    made = client(cell).place(plan(loaded, cell=cell))
    return client(cell).render(made, places)[0]


@pytest.mark.parametrize(
    ("cell", "name", "places"),
    [
        ("docker", "word2vec.compose.yaml", RenderLocations("examples/word2vec", "./run")),
        (
            "slurm",
            "word2vec.sbatch",
            RenderLocations("examples/word2vec", "/shared/me/word2vec/run"),
        ),
    ],
)
def test_the_2016_cluster_is_as_in_the_documentation(
    cell: str, name: str, places: RenderLocations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`TENFOLD_TEST_WRITE=1` writes the files anew."""
    monkeypatch.setenv("PWD", "/home/me")
    monkeypatch.delenv("BASE_IMAGE", raising=False)
    text = rendered(cell, places).text
    if os.environ.get("TENFOLD_TEST_WRITE"):
        (EXAMPLES / name).write_text(text)
    assert text == (EXAMPLES / name).read_text()


def placed(*tasks: Task, **more: Any) -> Plan:
    """A plan for Docker."""
    values: dict[str, Any] = {"success": (), "image": "image"} | more
    return client("docker").place(plan_of(*tasks, cell="docker", **values))


def services(made: Plan, **more: Any) -> dict[str, Any]:
    """The services of its compose file, as YAML reads them."""
    text = compose(made, RenderLocations("/project", "./run", **more)).text
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


def test_each_task_is_a_service_that_publishes_nothing() -> None:
    made = services(placed(Task("ps", 0, ("true",)), Task("ps", 1, ("true",))))
    assert list(made) == ["ps-0", "ps-1"]
    for service in made.values():
        assert "ports" not in service
        assert service["networks"] == ["cluster"]
        assert service["cap_drop"] == ["ALL"]
        assert "./run:/var/log/tenfold" in service["volumes"]
        assert service["expose"] == ["8080"]


def test_pages_are_published_on_loopback_alone() -> None:
    page = Task("jupyter", 0, ("true",), ports={"http": None}, publish=("http",))
    ports = services(placed(page))["jupyter-0"]["ports"]
    assert ports == ["127.0.0.1:${JUPYTER_PORT:-8888}:8888"]


def test_resources_in_compose_terms() -> None:
    made = services(placed(Task("worker", 0, ("true",), cpu=1.5, memory=1 << 30, gpu=1)))
    worker = made["worker-0"]
    assert (worker["cpus"], worker["mem_limit"]) == (1.5, 1 << 30)
    device = worker["deploy"]["resources"]["reservations"]["devices"][0]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def test_a_secret_has_no_value_in_the_file() -> None:
    task = Task("worker", 0, ("true",), env={"HUB_TOKEN": "canary"}, secrets=("HUB_TOKEN",))
    made = placed(task, success=())
    text = compose(made, RenderLocations("/project", "./run")).text
    assert "canary" not in text
    assert yaml.safe_load(text)["services"]["worker-0"]["environment"]["HUB_TOKEN"] is None


def test_a_supervisor_takes_order_and_restarts_away_from_compose() -> None:
    task = Task("worker", 0, ("true",), after={"ps": "started"})
    made = placed(task, Task("ps", 0, ("true",)), success=())
    assert services(made)["worker-0"]["depends_on"] == {"ps-0": {"condition": "service_started"}}
    assert "depends_on" not in services(made, supervised=True)["worker-0"]


def test_compose_itself_takes_the_file(docker_engine: DockerEngine, tmp_path: Path) -> None:
    del docker_engine
    hostile = replace(
        placed(Task("worker", 0, ("echo", "$HOME ${{x}} 'a' \"b\"\n#c"), gpu=1, cpu=0.5)),
        success=("worker",),
    )
    (tmp_path / "compose.yaml").write_text(
        compose(hostile, RenderLocations("/a: b/$c", "/tmp/x:y")).text
    )
    (tmp_path / "word2vec.yaml").write_text(
        rendered("docker", RenderLocations("examples/word2vec", "./run")).text
    )
    for name in ("compose.yaml", "word2vec.yaml"):
        argv = ["docker-compose", "-f", str(tmp_path / name), "config", "--quiet"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


def test_the_batch_script_is_shell(tmp_path: Path) -> None:
    path = tmp_path / "job.sbatch"
    path.write_text(rendered("slurm", RenderLocations("/x", "/a 'b' $c/run")).text)
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_memory_is_asked_for_by_processor() -> None:
    made = plan_of(Task("worker", 0, ("true",), cpu=2.0, memory=3 << 30), cell="slurm")
    text = sbatch(made, RenderLocations("/x", "/run")).text
    assert "#SBATCH --cpus-per-task=2" in text
    assert "#SBATCH --mem-per-cpu=1536M" in text
