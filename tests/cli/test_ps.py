"""`tenfold ps`, `events`, `config` and completion, on runs that are up and on what is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import create, every
from tests.cli.desk import Desk


def test_ps_during_and_after(desk: Desk) -> None:
    desk.tenfold("up", "--wait")
    during = desk.tenfold("ps")
    assert during.code == 0
    assert "running  (seen 0." in during.out or "running  (seen" in during.out
    rows = [line.split()[:2] for line in during.out.splitlines()[2:]]
    assert rows == [["chief/0", "running"], *([f"worker/{n}", "running"] for n in range(3))]
    (desk.directory / "go").touch()
    desk.tenfold("logs", "-f")
    after = json.loads(desk.tenfold("ps", "--json").out)
    assert after["state"] == "succeeded"
    chief, worker = after["tasks"][:2]
    assert (chief["state"], chief["exit_code"], chief["pid"]) == ("succeeded", 0, None)
    assert (worker["state"], worker["signal"]) == ("stopped", "SIGTERM")
    keys = {"task", "job", "index", "state", "address", "host", "pid", "restarts", "exit_code",
            "signal", "url"}  # fmt: skip
    assert keys <= chief.keys()


def test_ps_all_lists_complete_lines_in_a_pipe(desk: Desk) -> None:
    desk.write("cluster: a-rather-long-name-of-a-cluster-that-goes-on\njobs: {a: {run: 'false'}}\n")
    desk.tenfold("up")
    said = desk.tenfold("ps", "--all")
    assert "a-rather-long-name-of-a-cluster-that-goes-on" in said.out
    assert "failed" in said.out
    assert "…" not in said.out
    listed = json.loads(desk.tenfold("ps", "--all", "--json").out)
    assert [run["state"] for run in listed] == ["failed"]


def test_ps_without_a_run_gives_a_hint(desk: Desk) -> None:
    said = desk.tenfold("ps")
    assert (said.code, said.out) == (2, "")
    assert "hint: start one with `tenfold up`" in said.err


def test_ps_json_imports_nothing_heavy(runs: Path) -> None:
    run = create(runs, "c")
    write_json(run.plan, {"cluster": "c", "tasks": []})
    code = (
        "import sys; from tenfold.cli import run; run(['ps', '--json', '--runs', sys.argv[1]]);"
        "print([m for m in ('rich', 'pydantic', 'psutil', 'asyncio') if m in sys.modules],"
        " file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(runs)], capture_output=True, text=True, check=True
    )
    assert ended.stderr == "[]\n"
    assert json.loads(ended.stdout)["cluster"] == "c"


def test_events_as_json_lines_to_the_end(desk: Desk) -> None:
    desk.tenfold("up", "--wait")
    with desk.start("events", "--json", "-f") as follower:
        assert follower.stdout is not None
        first = json.loads(follower.stdout.readline())
        (desk.directory / "go").touch()
        kinds = [json.loads(line)["kind"] for line in follower.stdout]
    assert first["kind"] == "cluster-starting"
    assert kinds[-1] == "cluster-succeeded"
    assert follower.returncode == 0
    assert "task-exited        chief/0" in desk.tenfold("events").out


def test_stopping_by_request_is_an_event(desk: Desk) -> None:
    desk.tenfold("up", "--wait")
    desk.tenfold("down")
    assert "cluster-stopping" in desk.tenfold("events").out


def _complete(desk: Desk, *words: str) -> list[str]:
    script = desk.tenfold("completion", "bash").out
    program = desk.directory / "bin" / "tenfold"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!{sys.executable}\nfrom tenfold.cli import main\nmain()\n")
    program.chmod(0o755)
    quoted = " ".join(f"'{word}'" for word in words)
    ask = f"COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}; _tenfold_completion tenfold;"
    ended = subprocess.run(
        ["bash", "-c", f'{script}\n{ask} printf "%s\\n" "${{COMPREPLY[@]}}"'],
        capture_output=True,
        text=True,
        check=True,
        cwd=desk.directory,
        env=desk.env({"PATH": f"{program.parent}:{os.environ['PATH']}"}),
    )
    assert ended.stderr == ""
    return ended.stdout.split()


def test_completion_in_bash_knows_tasks_and_clusters(desk: Desk) -> None:
    assert _complete(desk, "tenfold", "logs", "wo") == []
    desk.tenfold("up", "--wait")
    assert _complete(desk, "tenfold", "logs", "wo") == [
        "worker",
        *(f"worker/{n}" for n in range(3)),
    ]
    assert _complete(desk, "tenfold", "exec", "c") == ["chief/0"]
    assert _complete(desk, "tenfold", "ps", "") == ["demo"]
    assert _complete(desk, "tenfold", "res") == ["restart"]
    run = next(iter(every(desk.runs)))
    for command in ("ps", "down", "rm", "tag", "note"):
        assert _complete(desk, "tenfold", command, "demo/") == [f"demo/{run.run}"]
    desk.tenfold("tag", "demo", "baseline")
    assert _complete(desk, "tenfold", "ps", "-a", "--tag", "") == ["baseline"]
    desk.tenfold("down")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_scripts_of_other_shells(desk: Desk, shell: str) -> None:
    assert "_TENFOLD_COMPLETE" in desk.tenfold("completion", shell).out


def test_config_shows_where_values_come_from(desk: Desk) -> None:
    file = desk.directory / "config" / "tenfold" / "config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("isolation: none\nkeep: true\n")
    settings = json.loads(desk.tenfold("config", "--json", env={"TENFOLD_KEEP": "0"}).out)[
        "settings"
    ]
    assert settings["isolation"] == {"value": "none", "origin": str(file)}
    assert settings["keep"] == {"value": "no", "origin": "TENFOLD_KEEP"}
    assert settings["cell"] == {"value": "local", "origin": "default"}
    shown = desk.tenfold("config", "--show-origin").out
    assert f"none   {file}".split() == next(
        line.split()[1:3] for line in shown.splitlines() if line.startswith("isolation")
    )
    bad = desk.tenfold("ps", env={"TENFOLD_COLOR": "pink"})
    assert bad.code == 2


def test_options_of_all_commands_stand_anywhere(desk: Desk) -> None:
    assert "Traceback" not in desk.tenfold("ps").err
    assert "InputError" in desk.tenfold("ps", "--debug").err
    assert "InputError" in desk.tenfold("--debug", "ps").err
    assert "Did you mean logs?" in desk.tenfold("log").err
    assert desk.tenfold("log").code == 2
