"""Commands that are shown to people find the run, and bring the same cluster up, as printed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.cluster import settings
from tenfold.run.planfile import PlanFile
from tenfold.views.commands import up_again, with_runs


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory to work in, with no settings but its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "user_file", lambda: tmp_path / "config.yaml")
    monkeypatch.delenv("TENFOLD_RUNS", raising=False)
    settings._user_settings.cache_clear()
    yield tmp_path
    settings._user_settings.cache_clear()


def test_runs_in_the_default_directory_need_no_option(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert with_runs("tenfold why x", here / ".tenfold/runs") == "tenfold why x"
    monkeypatch.setenv("TENFOLD_RUNS", "kept")
    assert with_runs("tenfold why x", here / "kept") == "tenfold why x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tenfold why x", "tenfold why x --runs '/a b'"),
        ("tenfold logs x a/0", "tenfold logs x a/0 --runs '/a b'"),
        (
            "tenfold stacks x; tenfold map",
            "tenfold stacks x --runs '/a b'; tenfold map --runs '/a b'",
        ),
        ("tenfold ps | tenfold down", "tenfold ps --runs '/a b' | tenfold down --runs '/a b'"),
        ("df -h /a", "df -h /a"),
        ("tenfold up x.yaml", "tenfold up x.yaml"),
    ],
)
def test_runs_elsewhere_are_named(text: str, shown: str) -> None:
    assert with_runs(text, Path("/a b")) == shown


def test_a_cluster_comes_up_again_with_the_options_it_had(here: Path) -> None:
    plan = {
        "file": "my file.yaml",
        "directory": str(here / "sub"),
        "options": ["--set", "vars.a=1 2", "--on", "docker"],
    }
    assert up_again(PlanFile.from_json(plan), here / ".tenfold/runs") == (
        "tenfold up 'sub/my file.yaml' --set 'vars.a=1 2' --on docker"
    )
    assert shlex.split(up_again(PlanFile.from_json(plan), Path("/a b")))[-2:] == ["--runs", "/a b"]


@pytest.mark.parametrize("file", ["tenfold.yaml", "./tenfold.yaml"])
def test_the_default_file_is_not_named(file: str, here: Path) -> None:
    runs = here / ".tenfold/runs"
    assert up_again(PlanFile(file=file, directory=str(here)), runs) == "tenfold up"
    assert up_again(PlanFile(file=file, directory="/x"), runs) == "tenfold up /x/tenfold.yaml"
    assert up_again(PlanFile(), runs) == "tenfold up"


def test_runs_of_the_file_are_the_default_for_up_only(here: Path) -> None:
    plan = {"file": "tenfold.yaml", "directory": str(here), "runs": "kept"}
    assert up_again(PlanFile.from_json(plan), here / "kept") == "tenfold up"
    assert with_runs("tenfold ps", here / "kept") == f"tenfold ps --runs {here}/kept"
