"""`tenfold plan`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tenfold.cli import run

FILE = """\
cluster: x
jobs:
  a: {run: "train ${task.index} --k ${env.HUB_TOKEN}", tasks: 30, after: b, env: {API_KEY: hush}}
  b: {run: serve, tasks: 3, ports: {web: auto}}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUB_TOKEN", "geheimnis")
    Path("tenfold.yaml").write_text(FILE)


def test_plan_prints_a_table_of_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan"]) == 0
    out = capsys.readouterr().out
    assert "x: 33 tasks on local, framework none" in out
    assert "starts: b → a" in out
    assert "b/0–2" in out
    assert "a/19" in out
    assert "… 10 more" in out
    assert "geheimnis" not in out
    assert "hush" not in out


def test_plan_prints_tasks_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--json", "--set", "jobs.a.tasks=1", "--on", "local"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], told["cluster"], told["framework"], told["cell"]) == (
        *(1, "x"),
        *("none", "local"),
    )
    (task,) = [task for task in told["tasks"] if task["job"] == "a"]
    assert task["task"] == "a/0"
    assert task["index"] == 0
    assert task["command"] == ["train", "0", "--k", "***"]
    assert task["env"] == {"API_KEY": "***"}
    assert task["address"] is None
    assert task["after"] == {"b": "ready"}


def test_nothing_is_written() -> None:
    assert run(["plan"]) == 0
    assert [path.name for path in Path().iterdir()] == ["tenfold.yaml"]


def test_a_faulty_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--set", "jobs.a.tasks=none"]) == 2
    assert "--set jobs.a.tasks=none: jobs.a.tasks: expected" in capsys.readouterr().err


def test_reasons_why_up_would_refuse_are_shown_below_the_plan(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["plan", "--on", "local"]) == 0
    shown = capsys.readouterr()
    assert "tenfold up will refuse to start this here:" in shown.err
    assert 'jobs.a.run[0]: there is no program "train"' in shown.err
    assert 'jobs.b.run[0]: there is no program "serve"' in shown.err
    assert "x: 33 tasks" in shown.out


def test_programs_are_not_looked_for_where_another_machine_runs_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("tenfold.yaml").write_text("cluster: x\nimage: img\njobs: {a: {run: serve}}\n")
    assert run(["plan", "--on", "docker"]) == 0
    assert "there is no program" not in capsys.readouterr().err
