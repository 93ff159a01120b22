"""A desk to type at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.desk import Desk

CLUSTER = """
cluster: demo
success: chief
stop_grace: 5s
jobs:
  chief: {run: "sh -c 'echo begun; while ! test -e go; do sleep 0.05; done; echo done'"}
  worker: {tasks: 3, run: "sh -c 'echo warm; echo cold >&2; exec sleep 600'"}
"""
"""A cluster that runs until the file `go` is there."""


@pytest.fixture
def desk(tmp_path: Path, runs: Path) -> Desk:
    """A directory with `CLUSTER` in it; at the end no run of it may be up."""
    made = Desk(tmp_path, runs)
    made.write(CLUSTER)
    return made
