"""The cells that the contract is tried on, each for real, and what is left of a run on them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tenfold.bringup.api import Run, up
from tenfold.cells import client
from tenfold.planning.plan import Plan, Task
from tests.conftest import survivors
from tests.plans import plan_of

ROOT = Path(__file__).parents[2]


class Ground:
    """One cell, ready to run clusters."""

    python = sys.executable
    """The interpreter that tasks find."""

    pages = True
    """Whether published ports are reached from here."""

    settings: tuple[str, ...] = ()
    """What `--set` has to say of this cell for files that know nothing of it."""

    def __init__(self, name: str, runs: Path, home: Path) -> None:
        self.name = name
        self.runs = runs
        self.home = home
        self.started: list[Run] = []

    def plan(self, *tasks: Task, **more: Any) -> Plan:
        """A plan of these tasks for this cell."""
        made = plan_of(*tasks, cell=self.name, directory=str(self.home), **more)
        return client(self.name).place(self._fitted(made))

    def _fitted(self, plan: Plan) -> Plan:
        return plan

    def up(self, *tasks: Task, **more: Any) -> Run:
        """Bring up a cluster of these tasks."""
        return self.begin(self.plan(*tasks, **more))

    def begin(self, plan: Plan) -> Run:
        """Bring up the cluster of a plan."""
        run = up(plan, runs=self.runs)
        self.started.append(run)
        return run

    def left(self, run: Run) -> list[str]:
        """What is left of a run on this cell."""
        return [str(pid) for pid in survivors(run.directory.path)]

    def tenfold(self, *words: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command of tenfold's on this ground's runs."""
        command, *rest = words
        argv = [sys.executable, "-m", "tenfold", command, "--runs", str(self.runs), *rest]
        return subprocess.run(
            argv, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=ROOT
        )


class Docker(Ground):
    """Containers of the engine that the tests were given."""

    python = "python"

    def __init__(self, image: str, runs: Path, home: Path, settings: tuple[str, ...] = ()) -> None:
        super().__init__("docker", runs, home)
        self.image = image
        self.settings = settings

    def _fitted(self, plan: Plan) -> Plan:
        return replace(plan, image=self.image)

    def left(self, run: Run) -> list[str]:
        """Containers and networks with the run's label."""
        from tenfold.cells.docker.project import project_of

        label = f"label=com.docker.compose.project={project_of(run.directory)}"
        found = []
        for words in (("ps", "-a", "-q"), ("network", "ls", "-q")):
            argv = ["docker", *words, "--filter", label]
            shown = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
            found += shown.stdout.split()
        return found


class Slurm(Ground):
    """The four-node Slurm that the tests were given."""

    def __init__(self, runs: Path, home: Path) -> None:
        super().__init__("slurm", runs, home)

    def left(self, run: Run) -> list[str]:
        """Jobs that are not over, and processes."""
        from tenfold.run.jsonfiles import read_json

        job = (read_json(run.directory.elsewhere) or {}).get("job")
        argv = ["squeue", "-h", "-o", "%i %T"]
        shown = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
        lines = [line for line in shown.stdout.splitlines() if line.split("+")[0].split()[0] == job]
        return [*lines, *super().left(run)]


class Own(Ground):
    """A cell that only these tests have: a module, and a line in the table."""

    pages = False

    def __init__(self, runs: Path, home: Path) -> None:
        super().__init__("own", runs, home)


def own_table(directory: Path) -> Mapping[str, str]:
    """Environment in which every Python process has the cell and the framework of these tests."""
    (directory / "sitecustomize.py").write_text(
        "from tenfold.cluster.cell_table import CELLS\nCELLS['own'] = 'tests.cells.own'\n"
        "from tenfold.frameworks import FRAMEWORKS\nFRAMEWORKS['own'] = 'tests.frameworks.own'\n"
    )
    paths = [str(directory), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
