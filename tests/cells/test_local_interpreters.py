"""Tasks in interpreters that have no tenfold: what they are, and what they find."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import Run, planned, up
from tenfold.errors import InputError, UnavailableError
from tenfold.run.eventlog import read_events
from tenfold.run.logs import last_lines
from tests import pythons
from tests.conftest import survivors

pytestmark = pytest.mark.timeout(300)

SHOW = """
import importlib.util, json, os, sys
import tenfold
one = tenfold.task()
tenfold.progress(3, 10)
print(json.dumps({
    "prefix": sys.prefix, "version": sys.version.split()[0], "task": one.name,
    "tenfold": tenfold.__file__, "pydantic": importlib.util.find_spec("pydantic") is not None,
    "forked": "tenfold.launch.preload" in sys.modules, "venv": os.environ.get("VIRTUAL_ENV"),
    "path": sys.path,
}), flush=True)
"""


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TENFOLD_PYTHON", "VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "show.py").write_text(SHOW)


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """A virtual environment beside the file, under another name than `.venv`."""
    return pythons.venv(tmp_path / "env")


def begun(tmp_path: Path, runs: Path, text: str) -> Run:
    """A run of the file `text`, to its end."""
    path = tmp_path / "tenfold.yaml"
    path.write_text(f"cluster: c\n{text}\n")
    run = up(planned(path), runs=runs)
    assert run.wait(120)["state"] == "succeeded", _output(run)
    assert survivors(run.directory.path) == []
    return run


def _output(run: Run) -> str:
    return "\n".join(path.read_text() for path in run.directory.path.glob("tasks/*/std*.log"))


def said(run: Run, label: str) -> dict[str, Any]:
    """What `show.py` printed as this task."""
    found: dict[str, Any] = json.loads(last_lines(run.directory.task(label), 1)[0])
    return found


def notes(run: Run) -> list[str]:
    events, _ = read_events(run.directory.events)
    return [str(event.more["message"]) for event in events if event.kind == "note"]


def test_every_way_to_say_python_reaches_the_environment(
    tmp_path: Path, runs: Path, env: Path
) -> None:
    pythons.script(tmp_path / "line.py", f"#!/usr/bin/env python3\n{SHOW}")
    text = """
python: env
jobs:
  plain: {run: python show.py}
  forked: {run: python3 show.py, preload: [decimal], tasks: 2}
  shell: {run: sh -c "exec python show.py"}
  line: {run: ./line.py}
"""
    run = begun(tmp_path, runs, text)
    for label in ("plain-0", "forked-0", "forked-1", "shell-0", "line-0"):
        found = said(run, label)
        assert found["prefix"] == str(env.parents[1]), label
        assert found["tenfold"].startswith(str(run.directory.path)), label
        assert not found["pydantic"], "its packages are not those of tenfold"
        assert found["venv"] == str(env.parents[1])
        assert found["forked"] == label.startswith("forked")
    assert notes(run) == []


@pytest.mark.parametrize("version", ["3.10", "3.12", "3.13", "3.14"])
def test_another_version_of_python_forks_and_reports_progress(
    tmp_path: Path, runs: Path, version: str
) -> None:
    python = pythons.of_version(version)
    if python is None:
        pytest.skip(f"this machine has no Python {version}")
    pythons.venv(tmp_path / ".venv", python)
    text = "jobs:\n  a: {run: python show.py, preload: [decimal], tasks: 2}"
    run = begun(tmp_path, runs, text)
    assert said(run, "a-1")["forked"]
    assert said(run, "a-1")["version"].startswith(f"{version}.")
    progress = json.loads((run.directory.task("a-1").path / "progress.json").read_text())
    assert (progress["done"], progress["total"]) == (3, 10)
    assert notes(run) == []


def test_the_active_environment_precedes_the_one_beside_the_file(
    tmp_path: Path, runs: Path, env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pythons.venv(tmp_path / ".venv")
    pythons.script(env.parent / "torchrun", f"#!{env}\n{SHOW}")
    monkeypatch.setenv("VIRTUAL_ENV", str(env.parents[1]))
    text = "jobs:\n  a: {run: python show.py}\n  b: {run: torchrun}"
    run = begun(tmp_path, runs, text)
    assert said(run, "a-0")["prefix"] == said(run, "b-0")["prefix"] == str(env.parents[1])
    monkeypatch.delenv("VIRTUAL_ENV")
    (tmp_path / ".venv" / "bin" / "torchrun").symlink_to(env.parent / "torchrun")
    run = begun(tmp_path, runs, text)
    assert said(run, "a-0")["prefix"] == str(tmp_path / ".venv")


def test_a_conda_environment_is_used(
    tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = pythons.conda(tmp_path / "envs" / "train")
    monkeypatch.setenv("CONDA_PREFIX", str(python.parents[1]))
    pythons.script(python.parent / "accelerate", f"#!{python}\n{SHOW}")
    text = (
        "jobs:\n  a: {run: python -c 'import sys; print(sys.executable)'}\n  b: {run: accelerate}"
    )
    run = begun(tmp_path, runs, text)
    assert last_lines(run.directory.task("a-0"), 1) == [str(python)]
    assert said(run, "b-0")["prefix"] != sys.prefix
    assert said(run, "b-0")["tenfold"].startswith(str(run.directory.path))


def test_a_path_that_already_leads_to_the_environment_stays_as_it_is(
    tmp_path: Path, runs: Path, env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    pythons.script(mine / "tool", "#!/bin/sh\n")
    search = f"{mine}:{env.parent}:/usr/bin:/bin"
    monkeypatch.setenv("PATH", search)
    monkeypatch.setenv("VIRTUAL_ENV", str(env.parents[1]))
    text = "jobs: {a: {run: sh -c 'echo $PATH'}}"
    run = begun(tmp_path, runs, text)
    assert last_lines(run.directory.task("a-0"), 1) == [search]


def test_an_interpreter_of_another_name_is_python_all_the_same(tmp_path: Path, runs: Path) -> None:
    alone = tmp_path / "bin" / "my-python"
    alone.parent.mkdir()
    alone.symlink_to(pythons.base())
    pythons.script(alone.parent / "python", "#!/bin/sh\necho the wrong one\n")
    text = (
        "python: bin/my-python\njobs:\n  a: {run: python show.py, preload: [decimal]}\n"
        "  b: {run: sh -c 'python3 show.py'}"
    )
    run = begun(tmp_path, runs, text)
    assert said(run, "a-0")["forked"]
    for label in ("a-0", "b-0"):
        assert said(run, label)["prefix"] != sys.prefix
        assert said(run, label)["tenfold"].startswith(str(run.directory.path))


def test_a_job_may_name_another_interpreter(tmp_path: Path, runs: Path, env: Path) -> None:
    text = f"jobs:\n  a: {{run: python show.py}}\n  b: {{run: {env} show.py, preload: [decimal]}}"
    run = begun(tmp_path, runs, text)
    assert said(run, "a-0")["prefix"] == sys.prefix
    assert not said(run, "a-0")["tenfold"].startswith(str(run.directory.path))
    assert said(run, "b-0")["prefix"] == str(env.parents[1])
    assert said(run, "b-0")["tenfold"].startswith(str(run.directory.path))


def test_an_installed_tenfold_is_not_mixed_with_that_of_the_run(
    tmp_path: Path, runs: Path, env: Path
) -> None:
    pythons.distribution(pythons.site_packages(env), "tenfold", "0.0.1")
    text = (
        "python: env\n"
        "jobs: {a: {run: python show.py, preload: [decimal]}, b: {run: python show.py}}"
    )
    run = begun(tmp_path, runs, text)
    for label in ("a-0", "b-0"):
        assert said(run, label)["tenfold"].startswith(str(run.directory.path))
    done = _tenfold(tmp_path, "check")
    assert f"{env} has tenfold 0.0.1; tasks use" in done.stderr
    assert done.returncode == 0


def test_a_task_can_still_run_commands_of_tenfold(tmp_path: Path, runs: Path, env: Path) -> None:
    del env
    command = f"{sys.executable} -m tenfold"
    nested = "cluster: inner\njobs: {a: {run: python show.py}}\n"
    (tmp_path / "inner.yaml").write_text(nested)
    text = (
        f"python: env\njobs:\n  a: {{run: sh -c '{command} ps --runs {runs} && {command} up "
        f"--isolation none --runs {tmp_path}/inner inner.yaml --set python={tmp_path}/env'}}"
    )
    run = begun(tmp_path, runs, text)
    said = (run.directory.task("a-0").path / "stdout.log").read_text()
    assert "a/0" in said
    assert f'"prefix": "{tmp_path}/env"' in said


def test_modules_beside_the_script_precede_those_of_the_run(
    tmp_path: Path, runs: Path, env: Path
) -> None:
    del env
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "tenfold.py").write_text("MINE = 'mine'\n")
    (tmp_path / "own" / "t.py").write_text("import tenfold; print(tenfold.MINE)\n")
    text = "python: env\njobs: {a: {run: python own/t.py}}"
    run = begun(tmp_path, runs, text)
    assert last_lines(run.directory.task("a-0"), 1) == ["mine"]


def test_an_isolated_interpreter_runs_without_the_library(
    tmp_path: Path, runs: Path, env: Path
) -> None:
    del env
    (tmp_path / "t.py").write_text("import sys; print(sys.flags.isolated, sys.prefix)\n")
    text = "python: env\njobs: {a: {run: python -I t.py, preload: [decimal]}}"
    run = begun(tmp_path, runs, text)
    assert last_lines(run.directory.task("a-0"), 1) == [f"1 {tmp_path}/env"]
    assert notes(run) == []


def test_a_job_with_an_old_interpreter_runs_without_a_preload(tmp_path: Path, runs: Path) -> None:
    old = pythons.of_version("3.9", "3.8", "3.7", "3.6")
    if old is None:
        pytest.skip("this machine has no Python before 3.10")
    (tmp_path / "t.py").write_text("import sys; print(sys.executable)\n")
    text = f"jobs: {{a: {{run: {old} t.py, preload: [decimal]}}}}"
    run = begun(tmp_path, runs, text)
    assert last_lines(run.directory.task("a-0"), 1) == [old]
    assert "and tenfold supports tasks in Python 3.10 or later" in notes(run)[0]


def _tenfold(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tenfold", *words],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"NO_COLOR": "1"},
    )


def test_plan_and_up_print_the_interpreter(tmp_path: Path, runs: Path, env: Path) -> None:
    del runs
    (tmp_path / "tenfold.yaml").write_text("cluster: c\njobs: {a: {run: python show.py}}\n")
    version = ".".join(map(str, sys.version_info[:3]))
    words = f"python: {env} (Python {version}, from --set python)"
    done = _tenfold(tmp_path, "plan", "--set", "python=env")
    assert f"  {words}" in done.stdout
    done = _tenfold(tmp_path, "up", "--set", "python=env")
    assert words in done.stderr
    assert done.returncode == 0
    done = _tenfold(tmp_path, "plan")
    assert f"python: {sys.executable} (Python {version}, tenfold's own)" in done.stdout


@pytest.mark.parametrize("framework", ["torch", "jax", "tensorflow"])
def test_a_missing_framework_is_told_with_the_command_that_installs_it(
    tmp_path: Path, runs: Path, env: Path, framework: str
) -> None:
    pythons.distribution(pythons.site_packages(env), "pip", "26")
    jobs = "jobs: {worker: {run: python show.py}}"
    text = f"cluster: c\npython: env\nframework: {framework}\n{jobs}\n"
    (tmp_path / "tenfold.yaml").write_text(text)
    done = _tenfold(tmp_path, "check")
    assert f"tenfold.yaml:3:12: framework: {framework} is not installed for {env}" in done.stderr
    assert f"hint: {env} -m pip install {framework}\n" in done.stderr
    assert done.returncode == 2
    with pytest.raises(UnavailableError, match=f"{framework} is not installed for {env}") as caught:
        planned(tmp_path / "tenfold.yaml")
    assert caught.value.hint == f"{env} -m pip install {framework}"
    done = _tenfold(tmp_path, "doctor", "tenfold.yaml", "--runs", str(runs))
    assert f"not installed for {env}" in done.stdout
    assert done.returncode == 3


def test_an_interpreter_that_does_not_exist_is_a_fault_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "tenfold.yaml"
    path.write_text("cluster: c\njobs: {a: {run: sleep 1}}\npython: gone/bin/python\n")
    with pytest.raises(InputError) as caught:
        planned(path)
    (fault,) = caught.value.faults
    assert fault.place is not None
    assert (fault.place.line, fault.path) == (3, "python")
    assert f"{tmp_path}/gone/bin/python does not exist" in fault.message


def test_an_old_environment_stops_only_those_who_use_it(
    tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = pythons.of_version("3.9", "3.8", "3.7", "3.6")
    if old is None:
        pytest.skip("this machine has no Python before 3.10")
    monkeypatch.setenv("VIRTUAL_ENV", str(pythons.venv(tmp_path / "old", old).parents[1]))
    begun(tmp_path, runs, "jobs: {a: {run: 'true'}}")
    with pytest.raises(InputError, match=r"and tenfold supports tasks in Python 3\.10 or later"):
        begun(tmp_path, runs, "jobs: {a: {run: python show.py}}")


def test_an_environment_that_was_removed_is_named_when_a_task_starts(
    tmp_path: Path, runs: Path, env: Path
) -> None:
    path = tmp_path / "tenfold.yaml"
    path.write_text("cluster: c\npython: env\njobs: {a: {run: python show.py}}\n")
    made = planned(path)
    env.parents[1].rename(tmp_path / "moved")
    status = up(made, runs=runs).wait(60)
    assert status["state"] == "failed"
    assert f"{env} (from the cluster file) does not exist on " in str(status)


def test_python_in_the_file_has_no_effect_in_containers(tmp_path: Path, env: Path) -> None:
    del env
    text = "cluster: c\npython: env\nimage: x\njobs: {a: {run: python show.py}}\n"
    (tmp_path / "tenfold.yaml").write_text(text)
    done = _tenfold(tmp_path, "check", "--on", "docker")
    assert "tenfold.yaml:2:9: python: warning: is not used on docker" in done.stderr
    assert done.returncode == 0
    shown = json.loads(_tenfold(tmp_path, "plan", "--on", "docker", "--json").stdout)
    assert shown["python"] is None
    assert shown["tasks"][0]["command"] == ["python", "show.py"]


def test_an_active_base_of_conda_that_hides_the_environment_is_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pythons.venv(tmp_path / ".venv")
    base = pythons.conda(tmp_path / "miniconda3")
    monkeypatch.setenv("CONDA_PREFIX", str(base.parents[1]))
    monkeypatch.setenv("CONDA_DEFAULT_ENV", "base")
    path = tmp_path / "tenfold.yaml"
    path.write_text("cluster: c\njobs: {a: {run: python show.py}}\n")
    done = _tenfold(tmp_path, "check")
    assert f"base is active, and takes precedence over {tmp_path}/.venv" in done.stderr
    assert "hint: conda deactivate, or name it: python: .venv" in done.stderr
    path.write_text("cluster: c\npython: .venv\njobs: {a: {run: python show.py}}\n")
    assert "precedence" not in _tenfold(tmp_path, "check").stderr


def test_doctor_looks_into_the_active_environment(
    tmp_path: Path, runs: Path, env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pythons.distribution(pythons.site_packages(env), "torch", "99.1")
    monkeypatch.setenv("VIRTUAL_ENV", str(env.parents[1]))
    done = _tenfold(tmp_path, "doctor", "--json", "--runs", str(runs))
    found = {(each["area"], each["name"]): each for each in json.loads(done.stdout)["findings"]}
    assert found["machine", "python of tasks"]["message"] == f"{env}, from VIRTUAL_ENV"
    assert found["framework", "torch"]["version"] == "99.1"
    assert found["framework", "jax"]["message"] == f"not installed for {env}"
