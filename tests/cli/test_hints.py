"""What the command line suggests exists and works as printed; stdout of --json is JSON alone."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.cli import app, run
from tenfold.cluster import settings

FAILS = 'cluster: x\njobs: {a: {run: [sh, -c, "echo a line; exit 3"], restart: never}}\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "user_file", lambda: tmp_path / "config.yaml")
    monkeypatch.delenv("TENFOLD_RUNS", raising=False)
    settings._user_settings.cache_clear()
    Path("my.yaml").write_text(FAILS)
    yield tmp_path
    settings._user_settings.cache_clear()


@pytest.mark.parametrize(
    ("word", "meant"),
    [("statu", "ps"), ("kill", "down"), ("Plna", "plan"), ("chekc", "check"), ("log", "logs")],
)
def test_a_wrong_command_leads_to_the_right_one(
    word: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([word]) == 2
    assert f"Did you mean {meant}?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("up", "-f", "my.yaml"), ("-f", "my.yaml", "up"), ("up", "--file", "my.yaml")]
)
def test_a_file_can_be_named_by_an_option_before_or_after_the_command(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(list(words)) == 1
    capsys.readouterr()
    for command in ("ps", "why", "events", "logs", "map", "down", "stop"):
        option = "--file" if command in ("events", "logs", "map") else "-f"
        assert run([command, option, "my.yaml"]) == 0, command
        assert run(["-f", "my.yaml", command]) == 0, command
    capsys.readouterr()
    assert run(["ps", "y", "-f", "my.yaml"]) == 2
    assert "two clusters are given: y, and x with -f" in capsys.readouterr().err
    assert run(["check", "other.yaml", "-f", "my.yaml"]) == 2
    assert "given twice" in capsys.readouterr().err


def test_the_file_also_says_where_its_runs_are(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my.yaml").write_text(f"runs: elsewhere\n{FAILS}")
    assert run(["up", "my.yaml"]) == 1
    assert Path("elsewhere/x").is_dir()
    assert run(["ps", "x"]) == 2
    assert run(["ps", "-f", "my.yaml"]) == 0
    assert "failed" in capsys.readouterr().out


def test_the_cluster_can_be_named_by_an_option_everywhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["up", "my.yaml"]) == 1
    for command in ("ps", "why", "events", "logs", "map", "down", "stop"):
        assert run([command, "-c", "x"]) == 0, command
        capsys.readouterr()
        assert run([command, "-c", "nobody"]) == 2, command
        assert "no run of cluster nobody" in capsys.readouterr().err


def test_only_commands_that_exist_and_are_shown_are_suggested(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert set(app._ELSEWHERE.values()) <= set(app._COMMANDS) - {"task"}
    assert not set(app._ELSEWHERE) & set(app._COMMANDS)
    for word in ("tsk", "tas", "xyzzy"):
        assert run([word]) == 2
        assert "task?" not in capsys.readouterr().err


def test_a_run_that_is_not_there_leads_to_those_that_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = [*([name, "nosuch"] for name in ("down", "ps", "why", "map", "events"))]
    asked.append(["logs", "-c", "nosuch"])
    for words in asked:
        assert run(words) == 2
        assert "tenfold up" not in capsys.readouterr().err
    assert run(["up", "my.yaml", "--runs=kept"]) == 1
    capsys.readouterr()
    for words in asked:
        assert run([*words, "--runs=kept"]) == 2
        assert "hint: clusters here: x" in capsys.readouterr().err, words


def test_commands_suggested_after_a_failure_work(capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--set", "jobs.a.tasks=2", "--set", "env.A=b c", "--no-keep", "--isolation=none"]
    assert run(["up", "my.yaml", "--runs=kept here", *options]) == 1
    told = capfd.readouterr().err
    commands = re.search(r"next: (.*)", told)
    assert commands is not None
    why, logs, up = (shlex.split(command)[1:] for command in commands[1].split(" | "))
    assert run(why) == 0
    assert "exited with code 3" in capfd.readouterr().out
    assert run(logs) == 0
    assert "a line" in capfd.readouterr().out
    assert run(up) == 1
    kept = sorted(Path("kept here/x").iterdir())
    first, second = (json.loads((path / "plan.json").read_text()) for path in kept)
    assert first == second


@pytest.mark.parametrize(
    "wrong", [["--isolation=foo"], ["--resume"], ["--runs=/proc/x"], ["--on=nowhere"]]
)
def test_invalid_options_are_refused_before_the_plan_is_shown(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["up", "my.yaml", *wrong]) == 2
    told = capsys.readouterr().err
    assert "x: 1 task" not in told
    assert told.startswith("tenfold: ")


@pytest.mark.parametrize("detached", [[], ["-d"], ["--wait", "--timeout=60"]])
def test_stdout_of_up_json_is_json_alone(
    detached: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["up", "my.yaml", "--json", *detached]) in (0, 1)
    out = capfd.readouterr().out
    assert json.loads(out)["cluster"] == "x"
    assert run(["down", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["state"] == "failed"


@pytest.mark.parametrize("cell", ["docker", "kubernetes", "slurm"])
@pytest.mark.parametrize(
    "text",
    [
        "cluster: x\njobs: {a: {run: x}}\n",
        'cluster: x\nimage: i\njobs: {a: {run: "x ${env.A_TOKEN}"}}\n',
        'cluster: x\nimage: i\njobs: {a: {run: x, preload: "${env.A_TOKEN}"}}\n',
        "cluster: x\nimage: i\njobs: {a: {run: x, env: {T_KEY: hush-1}}, "
        "b: {run: x, env: {T_KEY: hush-2}}}\n",
        'cluster: x\nimage: "i:${env.A_TOKEN}"\njobs: {a: {run: x}}\n',
        "cluster: x\nimage: i\njobs: {a: {run: x}}\n",
    ],
)
def test_check_plan_and_up_agree_on_every_cell(
    cell: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("A_TOKEN", "hush-hush")
    Path("y.yaml").write_text(text)
    commands = ("check", "plan", "doctor", "render")
    codes = [run([command, "y.yaml", "--on", cell]) for command in commands]
    told = capsys.readouterr()
    assert codes[0] == codes[1] == codes[3]
    for command in ("check", "plan", "render", "up"):
        assert run([command, "y.yaml", "--on=nowhere"]) == 2
    capsys.readouterr()
    assert codes[2] == 3 if codes[0] == 2 else True
    assert run(["check", "y.yaml", "--on", cell, "--json"]) == codes[0]
    assert bool(json.loads(capsys.readouterr().out)["faults"]) == (codes[0] == 2)
    assert run(["up", "y.yaml", "--on", cell, "--runs=/dev/null/x"]) == 2 if codes[0] else True
    assert "hush-" not in told.err + told.out


def test_init_names_a_directory_with_spaces_so_that_it_can_be_typed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["init", "a b"]) == 0
    assert "next: cd 'a b' && tenfold up" in capsys.readouterr().err
