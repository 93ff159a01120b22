"""Output that cannot be written changes neither what a cluster does nor the exit code of a run."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.run.jsonfiles import read_json
from tenfold.run.rundir import every
from tests.conftest import wait_for

TENFOLD = str(Path(sys.executable).with_name("tenfold"))

READERS = ("ps", "logs", "why", "events", "map", "check", "plan", "config", "schema", "--help")


def shell(directory: Path, runs: Path, words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`tenfold` as a shell runs it, with the redirections that `words` have."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; '{TENFOLD}' {words}"],
        cwd=directory,
        env=os.environ | {"TENFOLD_RUNS": str(runs), "CODE": "0"} | env,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """A cluster whose chief writes a line, waits for the file `go`, and exits with CODE."""
    (tmp_path / "tenfold.yaml").write_text(
        "cluster: said\n"
        "jobs:\n"
        "  chief:\n"
        "    run: [sh, -c, 'echo línea; [ -z $WAIT ] || until [ -e go ]; do sleep 0.1; done;"
        " for i in $(seq 200); do echo $i; done; exit $CODE']\n"
        "    restart: never\n"
    )
    return tmp_path


def ended(runs: Path) -> str:
    """The state of the only run."""
    (run,) = every(runs)
    return str((read_json(run.status) or {}).get("state"))


@pytest.mark.parametrize(
    "redirected",
    [
        *("2>&-", ">&-", "<&-", "<&- >&- 2>&-", ">/dev/full", ">/dev/full 2>&1"),
        *("--json >/dev/full", "| true", "2>&1 | head -1"),
    ],
)
def test_a_run_whose_output_goes_nowhere_ends_as_it_would(
    cluster: Path, runs: Path, redirected: str
) -> None:
    done = shell(cluster, runs, f"up {redirected}")
    assert done.returncode == 0, done.stderr
    assert ended(runs) == "succeeded"
    assert "bug in tenfold" not in done.stdout + done.stderr


@pytest.mark.parametrize("redirected", ["<&- >&- 2>&-", "--json >/dev/full 2>&1"])
def test_a_run_that_fails_unseen_fails(cluster: Path, runs: Path, redirected: str) -> None:
    assert shell(cluster, runs, f"up {redirected}", CODE="3").returncode == 1
    assert ended(runs) == "failed"


def test_a_reading_command_reports_that_its_output_is_full(cluster: Path, runs: Path) -> None:
    assert shell(cluster, runs, "up").returncode == 0
    for words in READERS:
        done = shell(cluster, runs, f"{words} >/dev/full")
        assert done.returncode == 1, words
        assert done.stderr.endswith(
            "tenfold: cannot write to standard output: No space left on device\n"
        )
        for nowhere in (">&-", "2>&- >/dev/null", "<&- >&- 2>&-", "| true"):
            done = shell(cluster, runs, f"{words} {nowhere}")
            assert done.returncode == 0, (words, nowhere, done.stderr)


def test_a_run_is_stopped_even_if_its_messages_cannot_be_written(cluster: Path, runs: Path) -> None:
    assert shell(cluster, runs, "up -d >&- 2>&- <&-", WAIT="1").returncode == 0
    assert shell(cluster, runs, "restart chief >/dev/full 2>&1").returncode == 0
    assert shell(cluster, runs, "down --json >/dev/full 2>&1").returncode == 0
    assert ended(runs) == "stopped"


def test_following_ends_when_its_reader_closes_the_pipe(cluster: Path, runs: Path) -> None:
    assert shell(cluster, runs, "up -d", WAIT="1").returncode == 0
    try:
        for words in ("logs -f", "events -f", "map -f"):
            assert shell(cluster, runs, f"{words} | head -1").returncode == 0
    finally:
        shell(cluster, runs, "down")


@pytest.mark.parametrize("encoding", ["LC_ALL=C PYTHONUTF8=0", "PYTHONIOENCODING=latin-1"])
def test_characters_that_an_encoding_lacks_are_replaced(
    cluster: Path, runs: Path, encoding: str
) -> None:
    variables = dict(pair.split("=") for pair in encoding.split())
    done = shell(cluster, runs, "up", PYTHONCOERCECLOCALE="0", **variables)
    assert done.returncode == 0, done.stderr
    assert "chief-0 | l" in done.stdout


def test_a_pipe_that_does_not_block_gets_all_lines(cluster: Path, runs: Path) -> None:
    assert shell(cluster, runs, "up").returncode == 0
    (run,) = every(runs)
    text = "".join(f"{number:060}\n" for number in range(5000))
    run.task("chief-0").log("stdout").write_text(text)
    read, write = os.pipe()
    os.set_blocking(write, False)
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    logs = subprocess.Popen(
        [TENFOLD, "logs", "--no-log-prefix", "--runs", str(runs)], cwd=cluster, stdout=write
    )
    os.close(write)
    with os.fdopen(read) as stream:
        assert stream.read() == text
    assert logs.wait(60) == 0


def test_a_closed_terminal_ends_the_run_with_its_signal(cluster: Path, runs: Path) -> None:
    """SIGHUP comes, and every later write fails with EIO."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cluster)
        os.execve(
            TENFOLD,
            [TENFOLD, "up"],
            os.environ | {"TENFOLD_RUNS": str(runs), "WAIT": "1", "CODE": "0"},
        )
    wait_for(lambda: b"nea" in os.read(terminal, 4096))
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 129
    assert ended(runs) == "stopped"
