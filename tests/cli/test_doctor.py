"""`tenfold doctor`, of this machine and of a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.cells.probing.findings import Finding
from tenfold.views.doctor import show_findings, verdict
from tenfold.views.terminal import Terminal
from tests.cli.desk import Desk

FILE = "cluster: x\njobs: {a: {run: 'true'}}\n"


def test_of_this_machine(desk: Desk) -> None:
    said = desk.tenfold("doctor")
    assert (said.code, said.err) == (0, "")
    titles = [line for line in said.out.splitlines() if line and not line.startswith(" ")]
    assert titles == ["this machine", "cells", "frameworks and pages", "GPUs"]
    assert "\x1b" not in said.out
    assert "…" not in said.out


def test_doctor_prints_findings_as_json(desk: Desk) -> None:
    said = desk.tenfold("doctor", "--json")
    told = json.loads(said.out)
    assert (said.code, told["version"], told["ok"]) == (0, 1, True)
    keys = ["area", "name", "state", "version", "message", "hint"]
    assert all(list(finding) == keys for finding in told["findings"])
    assert {finding["area"] for finding in told["findings"]} == {
        "machine", "cell", "framework", "gpu"
    }  # fmt: skip


def test_a_file_that_can_run(desk: Desk) -> None:
    desk.write(FILE)
    said = desk.tenfold("doctor", "tenfold.yaml")
    assert said.code == 0
    assert said.out.splitlines()[-1].startswith("tenfold.yaml can run on local")
    assert "frameworks" not in said.out, "it needs none"
    told = json.loads(desk.tenfold("doctor", "tenfold.yaml", "--json").out)
    assert told["ok"] is True
    assert [each["name"] for each in told["findings"] if each["area"] == "cell"] == ["local"]


def test_doctor_with_a_cell_checks_the_file_here(desk: Desk) -> None:
    (desk.directory / "tenfold.yaml").unlink()
    assert desk.tenfold("doctor", "--on", "local").code == 2
    desk.write(FILE)
    said = desk.tenfold("doctor", "--on", "local", "--set", "cluster=y")
    assert said.code == 0
    assert "tenfold.yaml can run on local" in said.out


def test_too_much_is_a_warning(desk: Desk) -> None:
    desk.write("cluster: x\njobs: {a: {run: 'true', resources: {cpu: 9999, memory: 900TiB}}}\n")
    said = desk.tenfold("doctor", "tenfold.yaml")
    assert said.code == 0
    assert "! warning  cores" in said.out
    assert "! warning  memory" in said.out
    assert said.out.splitlines()[-1].startswith("tenfold.yaml can run on local, with ")


def test_a_cell_that_is_not_here(desk: Desk) -> None:
    desk.write(FILE)
    nowhere = {"KUBECONFIG": "/nonexistent", "KUBERNETES_SERVICE_HOST": ""}
    said = desk.tenfold("doctor", "tenfold.yaml", "--on", "kubernetes", env=nowhere)
    assert said.code == 3
    assert "✗ missing  kubernetes" in said.out
    assert said.out.splitlines()[-1].startswith("tenfold.yaml cannot run on kubernetes")
    told = desk.tenfold("doctor", "tenfold.yaml", "--on", "kubernetes", "--json", env=nowhere)
    assert (told.code, json.loads(told.out)["ok"]) == (3, False)


def test_a_program_that_is_not_here(desk: Desk) -> None:
    desk.write("cluster: x\njobs: {a: {run: no-such-program}}\n")
    said = desk.tenfold("doctor", "tenfold.yaml")
    assert said.code == 3
    assert "✗ broken   jobs.a.run" in said.out
    assert 'there is no program "no-such-program" on PATH' in said.out


def test_doctor_reports_a_missing_image(desk: Desk) -> None:
    desk.write(FILE)
    said = desk.tenfold("doctor", "tenfold.yaml", "--on", "docker")
    assert said.code == 3
    assert "✗ broken   docker" in said.out
    assert "no image is set for a/0" in said.out
    assert "image: NAME" in said.out


def test_runs_that_cannot_be_kept(desk: Desk) -> None:
    desk.write(FILE)
    (desk.directory / "file").write_text("")
    said = desk.tenfold("doctor", "tenfold.yaml", "--runs", str(desk.directory / "file"))
    assert said.code == 3
    assert "✗ broken   disk" in said.out


def test_a_file_with_faults_is_bad_input(desk: Desk) -> None:
    desk.write("cluster: x\njobs: {a: {runn: 'true'}}\n")
    said = desk.tenfold("doctor", "tenfold.yaml")
    assert (said.code, said.out) == (2, "")
    assert "did you mean run?" in said.err
    assert desk.tenfold("doctor", "nothing.yaml").code == 2
    desk.write(FILE)
    assert "did you mean docker?" in desk.tenfold("doctor", "tenfold.yaml", "--on", "dokcer").err


@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal(desk: Desk, width: int) -> None:
    desk.write(FILE)
    with desk.type("doctor", columns=width) as typed:
        assert typed.end(60) == 0
    assert b"\x1b[32m\xe2\x9c\x93 ok" in typed.raw
    assert "check whether the file can run here: tenfold doctor tenfold.yaml" in typed.text
    long = [line.strip() for line in typed.text.splitlines() if len(line) > width]
    assert all(line.startswith("hint: ") or " " not in line for line in long), long
    with desk.type("doctor", "tenfold.yaml", columns=width, env={"NO_COLOR": "1"}) as typed:
        assert typed.end(60) == 0
    assert b"\x1b[3" not in typed.raw


def test_doctor_imports_no_framework_itself(tmp_path: Path) -> None:
    code = (
        "import sys; from tenfold.cli import run; run(['doctor', '--json']);"
        "heavy = ('rich', 'pydantic', 'yaml', 'tensorflow', 'torch', 'jax', 'kubernetes', 'numpy');"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path)},
    )
    assert ended.stderr == "[]\n"


def test_a_message_never_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    found = [Finding("cell", "docker", "broken", "1\x1b[2J", "a\x1b[2Jb", "c\x07")]
    show_findings(Terminal(sys.stdout), found)
    verdict(Terminal(sys.stdout), found, "a\x1b[2J.yaml", "docker", False)
    assert "\x1b" not in capsys.readouterr().out


def test_a_missing_cell_is_highlighted_only_if_it_is_needed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = Terminal(sys.stdout, "always")
    found = [Finding("cell", "slurm", "missing", None, "no", "get it")]
    show_findings(out, found)
    assert "\x1b[2m✗ missing" in capsys.readouterr().out
    show_findings(out, found, "x.yaml")
    assert "\x1b[31m\x1b[1m✗ missing" in capsys.readouterr().out
