"""The digits examples, torch and JAX, from the same unchanged files on every cell that runs here.

`tests/torch` and `tests/jax` try the frameworks themselves, on the local cell. Here it is how a run
on Docker or Slurm ends and reads: as on the local cell, which is run once for each example.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import Run, planned
from tenfold.cells.docker.project import project_of
from tenfold.cluster.file import loads
from tenfold.run.eventlog import read_events
from tenfold.run.logs import last_lines
from tenfold.run.rundir import find
from tests.cells.grounds import ROOT, Docker, Ground, Slurm
from tests.conftest import wait_for
from tests.engines.docker import docker

pytestmark = pytest.mark.timeout(1200)  # the first on a machine makes its image: 1120 s at most

RANKS = 4


@dataclass(frozen=True)
class Example:
    """An example, and what it leaves and says.

    Attributes:
        weights: the file of them among the results.
        says: how the line begins in which every task tells its weights' fingerprint.
        services: tasks beside the workers.
    """

    framework: str
    weights: str
    says: str
    services: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        return ROOT / "examples" / f"digits-{self.framework}" / "tenfold.yaml"

    @property
    def states(self) -> dict[str, str]:
        """The tasks as `ps` lists them, and how they end."""
        workers = {f"worker/{n}": "succeeded" for n in range(RANKS)}
        return workers | dict.fromkeys(self.services, "stopped")


EXAMPLES = {
    "torch": Example("torch", "digits.pt", "rank", ("tensorboard/0",)),
    "jax": Example("jax", "digits.npz", "process"),
}


@dataclass(frozen=True)
class Reading:
    """How a run that ended well reads, but for what differs from run to run and cell to cell."""

    ps: set[str]
    tasks: list[tuple[str, str, int]]
    task_keys: set[str]
    events: dict[str, list[tuple[str, frozenset[str]]]]
    cluster_events: list[str]
    losses: list[str]
    """The lines of `logs` about losses, but for the numbers."""


def _reading(ground: Ground, example: Example) -> Reading:
    """What `ps --json`, `events --json` and `logs` tell of the latest run."""
    shown: dict[str, Any] = json.loads(ground.tenfold("ps", "--json").stdout)
    assert (shown["state"], shown["cell"]) == ("succeeded", ground.name)
    assert all(task["address"] and task["host"] for task in shown["tasks"])
    events: dict[str | None, list[dict[str, Any]]] = {}
    for line in ground.tenfold("events", "--json").stdout.splitlines():
        event = json.loads(line)
        events.setdefault(event["task"], []).append(event)
    lines = ground.tenfold("logs", "--no-dedup").stdout.splitlines()
    said = [line.partition("|") for line in lines]
    told = [words.strip() for _, _, words in said]
    weights = [words for words in told if words.startswith(example.says) and "weights" in words]
    places = {words.partition(":")[0] for words in weights}
    assert places == {f"{example.says} {n} of {RANKS}" for n in range(RANKS)}
    assert len({words.rpartition(" ")[2] for words in weights}) == 1
    # On a slow machine the training ends before TensorBoard has come up, and SIGTERM ends it.
    services = {task["task"] for task in shown["tasks"] if task["state"] == "stopped"}
    for task in shown["tasks"]:
        assert task["exit_code"] == 0 or task["task"] in services, task
    return Reading(
        ps=set(shown),
        tasks=[(task["task"], task["state"], task["restarts"]) for task in shown["tasks"]],
        task_keys=set(shown["tasks"][0]),
        events={
            task: [
                (e["kind"], frozenset() if task in services else frozenset(e))
                for e in told
                if e["kind"] != "task-waits"
                and (e["kind"], task in services) != ("task-ready", True)
            ]
            for task, told in events.items()
            if task is not None
        },
        cluster_events=[e["kind"] for e in events[None] if e["kind"].startswith("cluster-")],
        losses=[
            f"{who.strip()}: {words.partition('loss')[0].strip()}"
            for who, _, words in said
            if words.strip().startswith("epoch")
        ],
    )


def _end_well(ground: Ground, example: Example) -> Reading:
    """Run the example there, unchanged, and read the run."""
    settings = [word for one in ground.settings for word in ("--set", one)]
    done = ground.tenfold("up", str(example.file), "--on", ground.name, *settings, timeout_s=200)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    run = Run(find(ground.runs))
    results = run.directory.shared("results")
    result = json.loads((results / "result.json").read_text())
    assert result["accuracy"] > 0.95
    assert (results / example.weights).stat().st_size > 10_000
    curves = list(run.directory.shared("tensorboard").rglob("events.out.tfevents.*"))
    assert bool(curves) == ("tensorboard/0" in example.services)
    wait_for(lambda: not ground.left(run), 20)
    return _reading(ground, example)


@pytest.fixture(scope="module", params=sorted(EXAMPLES))
def example(request: pytest.FixtureRequest) -> Example:
    """Each example whose framework is here."""
    return _installed(request.param)


def _installed(framework: str) -> Example:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed: make test brings it")
    return EXAMPLES[framework]


@pytest.fixture(scope="module")
def locally(example: Example, tmp_path_factory: pytest.TempPathFactory) -> Reading:
    """How the example's run on the local cell reads."""
    place = tmp_path_factory.mktemp("local").resolve()
    return _end_well(Ground("local", place / "runs", place), example)


def _ground(
    cell: str, example: Example, runs: Path, home: Path, request: pytest.FixtureRequest
) -> Ground:
    """The cell, its engine running; for Docker with the images' layers that the file asks for."""
    if cell == "docker":
        image = request.getfixturevalue(f"{example.framework}_image")
        environment = request.getfixturevalue("monkeypatch")
        for name, value in image.arguments.items():
            environment.setenv(name, value)
        mounts = json.dumps(image.mounts)
        settings = (f"cells.docker.mounts={mounts}",) if image.mounts else ()
        return Docker(image.tag, runs, home, settings)
    request.getfixturevalue("slurm")
    return Slurm(runs, home)


def test_the_local_run_reads_as_expected(example: Example, locally: Reading) -> None:
    assert {task: state for task, state, _ in locally.tasks} == example.states
    for task in example.states:
        kinds = [kind for kind, _ in locally.events[task]]
        ready = [] if task in example.services else ["task-ready"]
        assert kinds[: 1 + len(ready)] == ["task-started", *ready]
        assert kinds[-1] == "task-exited"
    assert locally.losses == [f"worker-0: epoch {n}:" for n in range(1, 21)]


@pytest.mark.parametrize("cell", ["docker", "slurm"])
def test_the_digits_succeed_on_the_cell_with_the_same_output(
    cell: str,
    example: Example,
    locally: Reading,
    runs: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    assert _end_well(_ground(cell, example, runs, tmp_path, request), example) == locally


@pytest.fixture
def computing(
    cell: str, framework: str, runs: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Ground, Run]]:
    """A run of the example that has no end, all ranks of which compute together."""
    example = _installed(framework)
    ground = _ground(cell, example, runs, tmp_path, request)
    endless = ("vars.epochs=100000", "tensorboard=false", *ground.settings)
    run = ground.begin(planned(example.file, cell=cell, overrides=endless))
    try:
        wait_for(lambda: "epoch 2:" in _said(run) or not run.directory.alive(), 90)
        yield ground, run
    finally:
        run.stop(kill=True, timeout_s=60)
        wait_for(lambda: not ground.left(run), 20)


def _said(run: Run) -> str:
    return "\n".join(last_lines(run.directory.task("worker-0"), 100))


@pytest.mark.parametrize(
    ("cell", "framework", "task"),
    [("docker", "torch", "worker/1"), ("slurm", "jax", "worker/0")],
)
def test_when_a_worker_is_killed_all_start_again_together(
    computing: tuple[Ground, Run], task: str
) -> None:
    ground, run = computing
    _kill(ground, run, task)
    with suppress(AssertionError):
        wait_for(lambda: set(_restarts(run)) == {1} or not run.directory.alive(), 60)
    assert set(_restarts(run)) == {1}, run.directory.events.read_text()
    wait_for(lambda: _trains_again(run) or not run.directory.alive(), 90)
    assert _trains_again(run), _said(run)
    events, _ = read_events(run.directory.events)
    (retried,) = (event for event in events if event.kind == "task-retried")
    assert (retried.task, retried.text("because")) == (task, "was killed by SIGKILL")


def _restarts(run: Run) -> list[int]:
    return [task["restarts"] for task in run.status()["tasks"]]


def _trains_again(run: Run) -> bool:
    """Whether an epoch has ended since all tasks were started again."""
    tasks = run.status()["tasks"]
    epochs = (run.directory.task("worker-0").progress).stat().st_mtime
    return all(task["started"] for task in tasks) and epochs > max(t["started"] for t in tasks)


ALONE = """
import jax
jax.distributed.initialize()
print("process", jax.process_index(), jax.process_count())
"""


def test_jax_alone_reads_the_whole_cluster_from_slurm_variables(
    runs: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Each task is a step of one process: JAX would take it for process 0 of 1."""
    ground = _ground("slurm", _installed("jax"), runs, tmp_path, request)
    (tmp_path / "train.py").write_text(ALONE)
    text = "cluster: alone\nframework: jax\njobs: {worker: {run: python train.py, tasks: 2}}\n"
    run = ground.begin(planned(loads(text, directory=tmp_path), cell="slurm"))
    status = run.wait(90)
    lines = [last_lines(run.directory.task(f"worker-{n}"), 20) for n in range(2)]
    assert status["state"] == "succeeded", lines
    assert [told[-1] for told in lines] == ["process 0 2", "process 1 2"]


def _kill(ground: Ground, run: Run, task: str) -> None:
    """End a task as the kernel ends one that takes too much memory."""
    if ground.name == "docker":
        project = f"label=com.docker.compose.project={project_of(run.directory)}"
        service = f"label=com.docker.compose.service={task.replace('/', '-')}"
        (container,) = docker("ps", "--quiet", "--filter", project, "--filter", service).split()
        docker("kill", container)
        return
    marks = [f"TENFOLD_TASK={task}", f"TENFOLD_RUN_DIRECTORY={run.directory.path}"]
    pids = [pid for pid in _processes() if set(marks) <= _environment(pid)]
    assert pids, _said(run)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment(pid: int) -> set[str]:
    with suppress(OSError):
        return set(Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0"))
    return set()
