"""The compose project of a run: its name, and the file that remembers it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from tenfold.run.jsonfiles import JsonFile
from tenfold.run.rundir import RunDirectory


@dataclass(frozen=True, slots=True)
class DockerProject(JsonFile):
    """`docker.json` of a run: the name of its project on the engine."""

    project: str = ""


def handle(run: RunDirectory) -> Path:
    """The file in the run directory with the name of the project."""
    return run.path / "cell" / "docker.json"


def project_of(run: RunDirectory) -> str:
    """The compose project of a run. No other run has the same one."""
    mark = hashlib.sha256(os.fsencode(run.path)).hexdigest()[:6]
    return f"tenfold-{run.cluster}-{run.run}-{mark}"
