"""A `~` is a home directory wherever a user can write a path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.base.paths import PathError, expanded, user_path
from tenfold.cells.docker.engine import build_words
from tenfold.checkpoint import Checkpoints
from tenfold.cli import run
from tenfold.cluster import settings
from tenfold.cluster.file import load, loads
from tenfold.cluster.file.homes import _PATHS
from tenfold.cluster.spec import Cluster, Job
from tenfold.errors import InputError
from tenfold.planning.planner import plan


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of one's own, with a directory to work in beside it, and no settings."""
    made = tmp_path / "home"
    for place in (made, tmp_path / "project"):
        place.mkdir()
    monkeypatch.setenv("HOME", str(made))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for name in settings.SETTINGS:
        monkeypatch.delenv(settings.variable(name), raising=False)
    monkeypatch.chdir(tmp_path / "project")
    settings._user_settings.cache_clear()
    yield made
    settings._user_settings.cache_clear()


def test_a_tilde_is_expanded_to_a_home_directory(home: Path) -> None:
    assert expanded("~") == str(home)
    assert expanded("~/a b") == f"{home}/a b"
    assert expanded("~root/x") == "/root/x"
    assert expanded("~/x", {"HOME": "/"}) == "/x"
    assert [expanded(same) for same in ("./~", "a/~", "x~", "", "/~")] == [
        "./~",
        "a/~",
        "x~",
        "",
        "/~",
    ]


@pytest.mark.parametrize(
    ("path", "words", "hint"),
    [
        ("~no-such-user/x", 'there is no user "no-such-user"', "./~no-such-user for a directory"),
        ("$HOME/x", "$HOME is not expanded", "write ~"),
        ("$NOWHERE", "$NOWHERE is not expanded", "write the full path"),
    ],
)
def test_a_path_without_a_directory_is_refused(path: str, words: str, hint: str) -> None:
    with pytest.raises(PathError) as caught:
        expanded(path)
    assert words in str(caught.value)
    assert hint in caught.value.hint
    with pytest.raises(InputError, match=r"^-o: "):
        user_path(path, "-o")


def test_a_missing_home_directory_is_reported() -> None:
    code = "import os; from tenfold.base.paths import expanded\n"
    code += "os.setuid(54321); os.environ.pop('HOME'); expanded('~/x')"
    if os.getuid():
        pytest.skip("only root can become a user that does not exist")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "this user has no home directory, and HOME is not set" in done.stderr


@pytest.mark.parametrize("source", ["--runs", "TENFOLD_RUNS", "config.yaml"])
def test_runs_from_every_source(source: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flag = None
    if source == "--runs":
        flag = "~/kept"
    elif source == "TENFOLD_RUNS":
        monkeypatch.setenv(source, "~/kept")
    else:
        (home / ".config/tenfold").mkdir(parents=True)
        (home / ".config/tenfold/config.yaml").write_text("runs: ~/kept\n")
    assert settings.resolve("runs", flag).value == f"{home}/kept"


def test_a_run_is_kept_below_the_home_and_found_there(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("tenfold.yaml").write_text(
        "cluster: x\nruns: ~/kept\njobs: {a: {run: pwd, workdir: ~/w}}\n"
    )
    (home / "w").mkdir()
    assert run(["up", "--no-dashboard"]) == 0
    assert not Path("~").exists()
    (kept,) = (home / "kept/x").iterdir()
    assert str(home / "w") in capfd.readouterr().out
    for arguments in (["--runs=~/kept"], [f"~/kept/x/{kept.name}"]):
        assert run(["ps", "--json", *arguments]) == 0
        assert json.loads(capfd.readouterr().out)["directory"] == str(kept)


def test_every_path_of_a_file(home: Path) -> None:
    loaded = loads(
        """
cluster: x
runs: ~/kept
vars: {data: ~/data}
build: {context: ~root/image}
jobs:
  a: {run: x, workdir: ~/a, overrides: {0: {workdir: "${data}/b"}}}
cells: {docker: {mounts: ["~root/d:/d:ro", "~/e:/e"]}}
"""
    )
    made = loaded.cluster
    assert made.runs == f"{home}/kept"
    assert made.jobs["a"].workdir == f"{home}/a"
    assert made.jobs["a"].overrides["0"].workdir == f"{home}/data/b"
    assert made.build is not None
    assert made.build.context == "/root/image"
    assert made.cells.docker.mounts == ("/root/d:/d:ro", "~/e:/e")  # Docker's own machine knows


def test_a_build_context_below_the_home(home: Path) -> None:
    text = "cluster: x\nbuild: ~/image\njobs: {a: {run: x}}\n"
    assert build_words(plan(loads(text), cell="docker"))[-1] == f"{home}/image"


@pytest.mark.parametrize("pattern", _PATHS, ids=".".join)
def test_errors_in_paths_have_a_position(pattern: tuple[str, ...]) -> None:
    data: dict[str, object] = {"cluster": "x", "jobs": {"a": {"run": "x"}}}
    keys = [
        "a" if key == "*" and at == 1 else "0" if key == "*" else key
        for at, key in enumerate(pattern)
    ]
    for bad, words in (
        ("~no-such-user/x", "there is no user"),
        ("$HOME/x", "$HOME is not expanded"),
    ):
        value: object = f"{bad}:/x" if keys[-1] == "mounts" else bad
        setting = f"{'.'.join(keys)}={json.dumps(value)}"
        with pytest.raises(InputError) as caught:
            loads(json.dumps(data), settings=[setting])
        (fault,) = caught.value.faults
        assert words in fault.message
        assert fault.path.startswith(keys[0])
        assert bad[0] == "~" or "~ or ${env.HOME}" in str(fault.hint)


@pytest.mark.parametrize("cell", ["docker", "kubernetes"])
def test_a_home_that_a_container_does_not_see_is_refused(cell: str, home: Path) -> None:
    text = "cluster: x\nimage: i\njobs: {a: {run: x, workdir: ~/a}}\n"
    with pytest.raises(InputError, match="~ cannot be used inside a container") as caught:
        plan(loads(text), cell=cell)
    assert caught.value.faults[0].place is not None
    assert plan(loads(text, directory=home), cell=cell).tasks[0].workdir == f"{home}/a"
    assert plan(loads(text), cell="slurm").tasks[0].workdir == f"{home}/a"
    with pytest.raises(InputError, match="~ cannot be used inside a container"):
        loads(text + 'cells: {docker: {mounts: ["~/a:~/a"]}}\n')


def test_files_to_load_and_to_build_on(home: Path) -> None:
    (home / "base.yaml").write_text("cluster: x\n")
    (home / "x.yaml").write_text("extends: ~/base.yaml\njobs: {a: {run: x}}\n")
    assert load("~/x.yaml").cluster.cluster == "x"
    assert load(Path("~/x.yaml")).directory == home
    with pytest.raises(InputError, match="FILE: there is no user"):
        load("~no-such-user/x.yaml")
    (home / "x.yaml").write_text("extends: ~no-such-user/base.yaml\njobs: {a: {run: x}}\n")
    with pytest.raises(InputError, match="there is no user"):
        load("~/x.yaml")


def test_a_cluster_made_by_python_code(home: Path) -> None:
    made = Cluster(cluster="x", runs="~/r", jobs={"a": Job(run="x", workdir="~/w")})
    planned = plan(made)
    assert (planned.runs, planned.tasks[0].workdir) == (f"{home}/r", f"{home}/w")


def test_commands_write_below_an_expanded_home(home: Path) -> None:
    assert run(["init", "~/new"]) == 0
    assert (home / "new/tenfold.yaml").is_file()
    Path("tenfold.yaml").write_text("cluster: x\nimage: i\njobs: {a: {run: x}}\n")
    assert run(["render", "--on", "docker", "--output=~/out"]) == 0
    assert (home / "out/compose.yaml").is_file()
    assert Checkpoints(place="~/saved").directory == home / "saved/training"
    assert not Path("~").exists()
