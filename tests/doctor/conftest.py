"""Programs as a machine could have them, and being somebody else for a moment."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tenfold.cells.probing.findings import Finding

NOBODY = 65534


@dataclass
class Programs:
    """All programs there are on PATH: shell scripts, which find nothing but what is built in."""

    directory: Path

    def put(self, name: str, script: str) -> None:
        """A program; `script` is a shell's."""
        path = self.directory / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def says(self, name: str, out: str = "", err: str = "", code: int = 0) -> None:
        """A program that always says the same."""
        (self.directory / f"{name}.out").write_text(out)
        (self.directory / f"{name}.err").write_text(err)
        here = self.directory
        self.put(name, f"/bin/cat {here}/{name}.out; /bin/cat {here}/{name}.err >&2; exit {code}")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A machine without any program; none of its variables says anything either."""
    made = Programs(tmp_path / "programs")
    made.directory.mkdir()
    monkeypatch.setenv("PATH", str(made.directory))
    for name in ("DOCKER_HOST", "XDG_RUNTIME_DIR", "SLURM_CONF", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.fixture
def as_nobody() -> Callable[[Callable[[], Finding]], Finding]:
    """Runs a probe as uid 65534, in no group. Skips for anybody but root, who cannot do that."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    return _as_nobody


def _as_nobody(probe: Callable[[], Finding]) -> Finding:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.environ["HOME"] = "/nonexistent"
            os.write(write, json.dumps(probe().to_json()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    assert said, "the probe raised"
    return Finding(**json.loads(said))
