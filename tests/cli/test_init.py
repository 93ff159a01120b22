"""`tenfold init`."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import pytest

from tenfold.cli import run
from tenfold.cluster.file import load
from tenfold.cluster.schema import json_schema


def test_the_created_files_are_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "My 1st Net"
    assert run(["init", str(directory)]) == 0
    loaded = load(directory / "tenfold.yaml")
    assert loaded.cluster.cluster == "my-1st-net"
    assert loaded.warnings == ()
    assert run(["check", str(directory / "tenfold.yaml")]) == 0
    assert "tenfold up" in capsys.readouterr().err
    ast.parse((directory / "train.py").read_text())


def test_editors_find_the_schema(tmp_path: Path) -> None:
    assert run(["init", str(tmp_path)]) == 0
    first = (tmp_path / "tenfold.yaml").read_text().splitlines()[0]
    path = first.removeprefix("# yaml-language-server: $schema=")
    assert json.loads((tmp_path / path).read_text()) == json_schema()


@pytest.mark.parametrize("name", ["tenfold.yaml", "train.py"])
def test_an_existing_file_stays_and_nothing_is_written(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text("mine")
    assert run(["init", str(tmp_path)]) == 2
    assert f"{name} already exists in {tmp_path}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_init_in_an_unwritable_directory_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert run(["init", str(tmp_path / "file" / "dir")]) == 2
    assert "cannot write" in capsys.readouterr().err
    if os.getuid():
        tmp_path.chmod(0o500)
        assert run(["init", str(tmp_path / "dir")]) == 2
