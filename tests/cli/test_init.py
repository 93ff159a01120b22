"""`tenfold init`: what it writes, and what it never replaces."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import pytest

from tenfold.cli import run
from tenfold.cluster.file import load
from tenfold.cluster.schema import json_schema
from tenfold.frameworks import FRAMEWORKS
from tests.starter import scripts

TORCHRUN = "torchrun --nproc-per-node 3 --rdzv-id 7 train.py --lr 0.2"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "train.py").write_text(scripts.DDP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", list(FRAMEWORKS))
def test_the_example_of_each_framework_has_no_warnings(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "My 1st Net"
    assert run(["init", str(directory), "--framework", name]) == 0
    loaded = load(directory / "tenfold.yaml")
    assert (loaded.cluster.cluster, loaded.cluster.framework) == ("my-1st-net", name)
    assert loaded.warnings == ()
    assert run(["check", str(directory / "tenfold.yaml")]) == 0
    assert "&& tenfold up" in capsys.readouterr().err
    ast.parse((directory / "train.py").read_text())


def test_the_example_is_for_a_framework_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tenfold.cli.init.find_spec", lambda name: name == "jax" or None)
    assert run(["init", str(tmp_path)]) == 0
    assert load(tmp_path / "tenfold.yaml").cluster.framework == "jax"
    assert "choose another one with --framework" in capsys.readouterr().err


def test_editors_find_the_schema(tmp_path: Path) -> None:
    assert run(["init", str(tmp_path)]) == 0
    first = (tmp_path / "tenfold.yaml").read_text().splitlines()[0]
    path = first.removeprefix("# yaml-language-server: $schema=")
    assert json.loads((tmp_path / path).read_text()) == json_schema()


def test_an_existing_file_stays_and_nothing_is_written(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "tenfold.yaml").write_text("mine")
    assert run(["init"]) == 2
    told = capsys.readouterr().err
    assert "tenfold.yaml already exists" in told
    assert "--force" in told
    assert sorted(path.name for path in project.iterdir()) == ["tenfold.yaml", "train.py"]
    assert (project / "tenfold.yaml").read_text() == "mine"


def test_an_example_replaces_no_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.py").write_text("mine")
    assert run(["init", str(tmp_path)]) == 2
    assert f"train.py already exists in {tmp_path}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]


def test_force_replaces_the_file_and_keeps_its_mode(project: Path) -> None:
    file = project / "tenfold.yaml"
    file.write_text("mine")
    file.chmod(0o640)
    assert run(["init", "--force"]) == 0
    assert load(file).cluster.framework == "torch"
    assert file.stat().st_mode & 0o777 == 0o640
    assert (project / "train.py").read_text() == scripts.DDP


@pytest.mark.parametrize("option", [["--dry-run"], ["-o", "-"]])
def test_a_dry_run_prints_the_file_and_writes_nothing(
    project: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "tenfold.yaml").write_text("mine")
    assert run(["init", "--from", TORCHRUN, *option]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("# yaml-language-server: $schema=.tenfold/schema.json\n")
    assert "run: python train.py --lr 0.2\n    tasks: 3\n" in printed.out
    assert "#   --rdzv-id 7" in printed.out.replace("# - ", "#   ")
    assert "--rdzv-id 7" in printed.err
    assert sorted(path.name for path in project.iterdir()) == ["tenfold.yaml", "train.py"]


def test_decisions_and_the_next_command_are_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", "--from", TORCHRUN, "-o", "three.yaml"]) == 0
    told = capsys.readouterr().err
    assert "train.py calls torch.distributed.init_process_group" in told
    assert "3 tasks of worker: torchrun starts 3" in told
    assert told.endswith("wrote three.yaml\nnext: tenfold up three.yaml\n")
    assert load(project / "three.yaml").cluster.jobs["worker"].tasks == 3


def test_a_fault_of_a_compose_file_is_shown_with_its_place(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "compose.yaml").write_text("services:\n  a: {command: x}\n  a: {command: y}\n")
    assert run(["init", "--from", "compose.yaml"]) == 2
    told = capsys.readouterr().err
    assert "compose.yaml:3:3" in told
    assert "    ^" in told or "^" in told
    assert not (project / "tenfold.yaml").exists()


def test_init_in_an_unwritable_directory_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert run(["init", str(tmp_path / "file" / "dir")]) == 2
    assert "cannot write" in capsys.readouterr().err
    if os.getuid():
        tmp_path.chmod(0o500)
        assert run(["init", str(tmp_path / "dir")]) == 2
