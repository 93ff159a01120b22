"""Unusual users, directories, programs and limits: a run works there, or says why it cannot."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tenfold.base.json_text import json_text
from tenfold.cells.rendering import RenderLocations
from tenfold.cells.slurm.sbatch import sbatch
from tenfold.cluster.file import load
from tenfold.planning.plan import Plan
from tenfold.planning.planner import plan
from tenfold.run.jsonfiles import read_json
from tenfold.run.rundir import every

TENFOLD = str(Path(sys.executable).with_name("tenfold"))
ROOT = Path(__file__).parents[1]

HELLO = "cluster: odd\njobs:\n  chief: {run: [sh, -c, 'pwd; echo hello'], restart: never}\n"

NOBODY = ("unshare", "--user", "--map-user=4242", "--map-group=4242")
"""Run as a uid that no /etc/passwd knows."""


def typed(
    words: Sequence[str],
    directory: Path,
    *,
    before: Sequence[str] = (),
    env: Mapping[str, str] = os.environ,
) -> subprocess.CompletedProcess[bytes]:
    """A command, to its end. It may fail, and never for a reason that tenfold did not expect."""
    done = subprocess.run(
        [*before, TENFOLD, *words],
        cwd=directory,
        env=dict(env),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert b"unexpected" not in done.stderr, done.stderr.decode(errors="replace")
    return done


def write(directory: Path, text: str) -> Path:
    file = directory / "tenfold.yaml"
    file.write_text(text)
    return file


def homeless(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "HOME"} | more


def _may_be_nobody() -> bool:
    return subprocess.run([*NOBODY, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _may_be_nobody(), reason="no user namespaces here")
def test_a_user_without_name_and_home_can_run_everything(tmp_path: Path) -> None:
    write(tmp_path, HELLO)
    for words in ("check", "plan", "up", "ps", "logs", "why", "doctor", "config --show-origin"):
        done = typed(words.split(), tmp_path, before=NOBODY, env=homeless())
        assert done.returncode == 0, (words, done.stderr)


@pytest.mark.parametrize("home", ["", "relative", "/nonexistent", "/dev/null", "/proc/1/fd"])
def test_an_invalid_home_is_not_needed(tmp_path: Path, home: str) -> None:
    write(tmp_path, HELLO)
    for words in ("check", "config"):
        assert typed([words], tmp_path, env=homeless(HOME=home)).returncode == 0


@pytest.fixture
def latin(tmp_path: Path) -> Path:
    """A directory whose name is not UTF-8."""
    directory = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 %x"))
    directory.mkdir()
    write(directory, HELLO)
    return directory


def test_a_directory_that_is_not_utf8_is_kept_exactly(latin: Path) -> None:
    assert typed(["up"], latin).returncode == 0
    (run,) = every(latin / ".tenfold/runs")
    assert run.task("chief-0").log("stdout").read_bytes().splitlines()[0] == os.fsencode(latin)
    assert (read_json(run.plan) or {})["directory"] == str(latin)
    assert json.loads(typed(["ps", "--json"], latin).stdout)["directory"] == str(run.path)
    for words in ("ps", "logs", "why", "events --json", "map", "down", "doctor tenfold.yaml"):
        assert typed(words.split(), latin).returncode == 0, words


def test_a_batch_script_names_a_directory_that_is_not_utf8(latin: Path) -> None:
    done = typed(["render", "--on", "slurm", "-o", "out"], latin)
    assert done.returncode == 0, done.stderr
    assert os.fsencode(latin) in (latin / "out/job.sbatch").read_bytes()
    assert Plan.from_json(json.loads((latin / "out/run/plan.json").read_text())).directory == str(
        latin
    )


def test_yaml_refuses_a_path_that_is_not_utf_8(latin: Path) -> None:
    """The project's path is relative in a rendered file; `up` names it in full."""
    done = typed(["render", "--on", "docker", "--set", "image=x", "-o", "out"], latin)
    assert done.returncode == 0, done.stderr
    made = sbatch(
        plan(load(latin / "tenfold.yaml"), cell="slurm"), RenderLocations(str(latin), str(latin))
    )
    with pytest.raises(Exception, match="cannot hold a path that is not UTF-8"):
        type(made)("compose.yaml", made.text).encoded()


def test_json_gives_back_every_name() -> None:
    for name in ("plain", "é", os.fsdecode(b"caf\xe9"), "\ud800"):
        text = json_text({"name": name})
        assert json.loads(text.encode()) == {"name": name}


@pytest.mark.parametrize("words", ["up", "check", "ps", "init", "doctor", "open --no-browser"])
def test_a_deleted_working_directory_is_named(tmp_path: Path, words: str) -> None:
    gone = tmp_path / "gone"
    script = f"cd {gone} && rmdir {gone} && exec {TENFOLD} {words}"
    gone.mkdir()
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "working directory" in done.stderr
    assert "unexpected" not in done.stderr


def test_a_deleted_working_directory_is_not_needed(tmp_path: Path) -> None:
    file, gone = write(tmp_path, HELLO), tmp_path / "gone"
    gone.mkdir()
    script = f"cd {gone} && rmdir {gone} && exec {TENFOLD} up {file} --runs {tmp_path}/runs"
    assert subprocess.run(["sh", "-c", script], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize(
    ("refused", "lacks"), [("flock", "no file locks"), ("bind", "no Unix sockets")]
)
def test_a_file_system_that_cannot_hold_a_run_is_named(
    tmp_path: Path, refused: str, lacks: str
) -> None:
    """The kernel answers as it does on network file systems without locks, and on FAT."""
    file = write(tmp_path, HELLO)
    done = typed(
        ["up", str(file), "--runs", str(tmp_path / "runs")],
        ROOT,
        before=[sys.executable, "-m", "tests.security.refusing", refused, "--"],
    )
    assert done.returncode == 2
    said = done.stderr.decode()
    assert f"{tmp_path}/runs/odd/" in said
    assert lacks in said
    assert "--runs" in said
    assert list(every(tmp_path / "runs")) == []


@pytest.mark.skipif(not _may_be_nobody(), reason="no user namespaces here")
def test_a_umask_that_keeps_its_own_user_out_is_named(tmp_path: Path) -> None:
    write(tmp_path, HELLO)
    umask = ("sh", "-c", 'umask 777; exec "$@"', "sh")
    done = typed(["up"], tmp_path, before=[*NOBODY, *umask])
    assert done.returncode == 2
    assert b"the umask 0777" in done.stderr
    assert not (tmp_path / ".tenfold").exists()


def test_a_long_path_is_no_trouble(tmp_path: Path) -> None:
    write(tmp_path, HELLO)
    long = tmp_path / ("d" * 200) / ("e" * 200)
    assert typed(["up", "--runs", str(long)], tmp_path).returncode == 0
    assert typed(["down", "--runs", str(long)], tmp_path).returncode == 0


def test_too_few_open_files_are_named_before_anything_starts(tmp_path: Path) -> None:
    write(tmp_path, "cluster: odd\njobs:\n  chief: {run: sleep 1, tasks: 20}\n")
    done = typed(["up"], tmp_path, before=["prlimit", "--nofile=128:128"])
    assert done.returncode == 3
    assert b"20 tasks need 260 open files, and at most 128 are allowed" in done.stderr
    assert b"ulimit -n 260" in done.stderr
    assert list(every(tmp_path / ".tenfold/runs")) == []
    enough = typed(["up"], tmp_path, before=["prlimit", "--nofile=260:260"])
    assert enough.returncode == 0, enough.stderr


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("echo hi\n", 0o755, 'has no #! line.*sh ./prog'),
        ("#!/bin/sh\n", 0o644, "is not executable.*chmod \\+x ./prog"),
        ("#!/bin/sh\r\n", 0o755, "carriage return"),
        ("#!/opt/no/such\n", 0o755, "/opt/no/such\", which does not exist"),
    ],
)  # fmt: skip
def test_a_program_that_the_kernel_does_not_start_is_explained(
    tmp_path: Path, text: str, mode: int, said: str
) -> None:
    program = tmp_path / "prog"
    program.write_text(text)
    program.chmod(mode)
    write(tmp_path, "cluster: odd\njobs:\n  chief: {run: ./prog}\n")
    done = typed(["check", "--json"], tmp_path)
    (fault,) = json.loads(done.stdout)["faults"]
    assert done.returncode == 2
    assert fault["path"] == "jobs.chief.run[0]"
    assert re.search(said, f"{fault['message']} {fault['hint']}"), fault
