"""Bringing clusters up from Python, and what is refused before anything starts."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import tenfold
from tenfold.bringup.api import planned, up
from tenfold.cluster.file import loads
from tenfold.errors import InputError, UnavailableError
from tests.conftest import wait_for
from tests.plans import plan_of, shell

SERVED = """
cluster: served
jobs:
  web: {run: sleep 600, ports: {http: PORT}, publish: [http]}
"""


def test_the_python_form_is_the_files_equal(runs: Path) -> None:
    cluster = tenfold.Cluster(cluster="made", jobs={"chief": tenfold.Job(run="true")})
    status = up(cluster, runs=runs).wait(60)
    assert (status["cluster"], status["state"]) == ("made", "succeeded")


def test_a_file_by_its_path(runs: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.tenfold.yaml"
    file.write_text("cluster: filed\njobs: {chief: {run: 'true'}}\n")
    assert up(file, runs=runs).wait(60)["state"] == "succeeded"


def test_wait_is_bounded(runs: Path) -> None:
    run = up(plan_of(shell("chief", "exec sleep 600")), runs=runs)
    with pytest.raises(TimeoutError):
        run.wait(0.3)
    assert run.stop(timeout_s=60)["state"] == "stopped"
    assert run.stop(timeout_s=60)["state"] == "stopped", "stopping again changes nothing"


def test_a_second_up_works_at_once_and_beside_the_first(runs: Path, isolation: str) -> None:
    made = plan_of(shell("chief", "exec sleep 600"))
    first, second = (up(made, runs=runs, isolation=isolation) for _ in range(2))
    assert first.directory != second.directory
    for run in (first, second):
        run.wait(20, for_state=("running",))
        run.stop(timeout_s=60)


def test_a_taken_port_is_refused_before_anything_starts(runs: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        loaded = loads(SERVED.replace("PORT", str(port)), directory=tmp_path)
        with pytest.raises(InputError, match=f"web/0: port {port} is taken"):
            up(loaded, runs=runs)
    assert not runs.exists()


def test_an_unwritable_runs_directory_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InputError, match="cannot create a run directory"):
        up(plan_of(shell("chief", "true")), runs=file / "runs")


def test_secrets_reach_the_task_and_no_file(runs: Path, tmp_path: Path) -> None:
    text = """
cluster: quiet
env: {HF_TOKEN: canary-one}
jobs:
  chief:
    run: [sh, -c, "test $HF_TOKEN$PLAIN = canary-onecanary-two"]
    env: {PLAIN: canary-two}
    secret: [PLAIN]
"""
    run = up(planned(loads(text, directory=tmp_path)), runs=runs)
    assert run.wait(60)["state"] == "succeeded"
    wait_for(lambda: not run.directory.alive())
    files = [path for path in run.directory.path.rglob("*") if path.is_file()]
    assert not [path for path in files if b"canary" in path.read_bytes()]
    assert run.directory.path.stat().st_mode & 0o777 == 0o700


def test_a_supervisor_that_cannot_start_is_no_silence(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    run_failed = False
    try:
        status = up(plan_of(shell("chief", "true")), runs=runs).wait(60)
        run_failed = status["state"] == "failed"
    except tenfold.TenfoldError as error:
        run_failed = "supervisor" in error.message
    assert run_failed


CORE = ("click", "pydantic", "pydantic_core", "yaml", "rich", "psutil", "platformdirs",
        "annotated_types", "typing_extensions", "typing_inspection", "markdown_it", "mdurl",
        "pygments", "_yaml")  # fmt: skip


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment in which only the core's own packages can be imported."""
    site = tmp_path / "site"
    site.mkdir()
    for name in CORE:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            home = origin.parent if origin.name == "__init__.py" else origin
            (site / home.name).symlink_to(home)
    source = Path(__file__).parents[2] / "src"
    return os.environ | {"PYTHONPATH": f"{site}:{source}"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("framework: tensorflow\njobs: {chief: {run: python t.py}}", "'tenfold[tensorflow]'"),
        ("jobs: {chief: {run: 'true'}}\ntensorboard: true", "'tenfold[tensorboard]'"),
        ("jobs: {chief: {run: 'true'}}\njupyter: true", "'tenfold[jupyter]'"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    bare: dict[str, str], tmp_path: Path, text: str, line: str
) -> None:
    (tmp_path / "tenfold.yaml").write_text(f"cluster: bare\n{text}\n")
    (tmp_path / "t.py").write_text("checkpoint = None\n")
    done = subprocess.run(
        [sys.executable, "-S", "-m", "tenfold", "up"],
        cwd=tmp_path,
        env=bare,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "is not installed for" in done.stderr
    assert "install" in done.stderr
    assert line in done.stderr
    assert not (tmp_path / ".tenfold").exists()


def test_an_unavailable_cell_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    loaded = loads("cluster: far\njobs: {chief: {run: /bin/true}}\n", directory=tmp_path)
    with pytest.raises(UnavailableError, match="the commands of Slurm are not installed"):
        up(planned(loaded, cell="slurm"), runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
