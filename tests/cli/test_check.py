"""`tenfold check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tenfold.cli import run

GOOD = "cluster: x\njobs: {a: {run: 'true'}}\n"
BAD = "cluster: x\njobs: {a: {run: 'true', taks: 1}}\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_good_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("tenfold.yaml").write_text(GOOD)
    assert run(["check"]) == 0
    out, err = capsys.readouterr()
    assert out == "tenfold.yaml: cluster x, 1 job, 1 task: no faults, no warnings\n"
    assert err == ""


def test_a_fault_with_its_line_and_a_caret(capsys: pytest.CaptureFixture[str]) -> None:
    Path("tenfold.yaml").write_text(BAD)
    assert run(["check"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "tenfold.yaml:2:25: jobs.a.taks: unknown key",
        "    jobs: {a: {run: 'true', taks: 1}}",
        "                            ^",
        "    hint: did you mean tasks?",
    ]


def test_check_prints_faults_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    Path("tenfold.yaml").write_text(BAD)
    assert run(["check", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["version"] == 1
    assert told["faults"] == [
        {
            "severity": "fault",
            "file": "tenfold.yaml",
            "line": 2,
            "column": 25,
            "path": "jobs.a.taks",
            "message": "unknown key",
            "hint": "did you mean tasks?",
        }
    ]


def test_warnings_are_no_faults(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.yaml").write_text("cluster: x\njobs: {a: {run: 'true $HOME'}}\n")
    assert run(["check", "x.yaml"]) == 0
    assert "1 warning" in capsys.readouterr().out
    assert run(["check", "x.yaml", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["warnings"]) == 1


def test_programs_are_looked_for_on_the_local_cell_only(capsys: pytest.CaptureFixture[str]) -> None:
    Path("tenfold.yaml").write_text("cluster: x\njobs: {a: {run: no-such-program}}\n")
    assert run(["check"]) == 2
    assert 'there is no program "no-such-program" on PATH' in capsys.readouterr().err
    assert run(["check", "--set", "cell=docker"]) == 2
    assert "no image is set for a/0" in capsys.readouterr().err
    assert run(["check", "--set", "cell=docker", "--set", "image=i"]) == 0
    assert run(["check", "--on", "dokcer"]) == 2
    assert "did you mean docker?" in capsys.readouterr().err


def test_check_without_a_file_suggests_tenfold_init(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check"]) == 2
    assert "tenfold init" in capsys.readouterr().err
    assert run(["check", "--json"]) == 2
    assert (
        json.loads(capsys.readouterr().out)["faults"][0]["message"]
        == "no tenfold.yaml in this directory"
    )


def test_escape_sequences_of_a_file_do_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("tenfold.yaml").write_text('cluster: "\\e[2J[red]x[/red]"\njobs: {a: {run: x}}\n')
    assert run(["check"]) == 2
    assert "\x1b" not in capsys.readouterr().err
