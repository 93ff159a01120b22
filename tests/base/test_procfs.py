"""What /proc says of processes: real ones, and files as the kernel writes them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.base import procfs
from tests.conftest import wait_for

GONE = 1 << 30
CHILD = "import sys, socket; made = socket.socket(); print(flush=True); sys.stdin.read()"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """A process that has opened a socket, in a session of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"WHO": "ä=b"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def test_the_stat_of_a_process_is_read(child: subprocess.Popen[str]) -> None:
    stat = procfs.read_stat(child.pid)
    assert stat is not None
    assert (stat.pid, stat.ppid, stat.pgrp, stat.session) == (
        child.pid, os.getpid(), child.pid, child.pid,
    )  # fmt: skip
    assert "python" in stat.comm
    assert stat.threads == 1
    assert stat.cpu_s > 0
    assert stat.memory_bytes > 1_000_000
    ticks = os.sysconf("SC_CLK_TCK")
    assert stat.start / ticks == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=60)
    assert not stat.ended
    assert child.pid in {one.pid for one in procfs.living()}


def test_the_environment_and_status_of_a_process_are_read(child: subprocess.Popen[str]) -> None:
    environment = procfs.read_environment(child.pid)
    assert environment is not None
    assert environment[b"WHO"].decode() == "ä=b"
    status = procfs.read_status(child.pid)
    assert status is not None
    assert status["Tgid"] == str(child.pid)
    assert procfs.read_status(child.pid, thread=child.pid) is not None
    assert procfs.thread_ids(child.pid) == [child.pid]


def test_the_relatives_of_a_process_are_found(child: subprocess.Popen[str]) -> None:
    assert child.pid in (procfs.read_children("self") or ())
    assert procfs.read_children(child.pid) == []
    assert next(procfs.ancestors(child.pid)) == os.getpid()
    assert list(procfs.ancestors(os.getpid())) == list(procfs.ancestors(child.pid))[1:]


def test_the_open_files_of_a_process_are_found(child: subprocess.Popen[str]) -> None:
    assert len(list(procfs.socket_inodes(child.pid))) == 1
    assert child.stdin is not None
    pipe = os.fstat(child.stdin.fileno())
    assert list(procfs.descriptors_of(child.pid, (pipe.st_dev, pipe.st_ino))) == [0]


def test_a_zombie_is_there_and_not_alive(child: subprocess.Popen[str]) -> None:
    assert procfs.is_alive(child.pid)
    child.kill()
    wait_for(lambda: not procfs.is_alive(child.pid), 5)
    stat = procfs.read_stat(child.pid)
    assert stat is not None
    assert stat.ended
    assert child.pid not in {one.pid for one in procfs.living()}
    assert child.pid in procfs.pids()


def test_an_ended_process_reads_as_none() -> None:
    assert procfs.read_stat(GONE) is None
    assert procfs.read_environment(GONE) is None
    assert procfs.read_status(GONE) is None
    assert procfs.read_children(GONE) is None
    assert not procfs.is_alive(GONE)
    assert [*procfs.thread_ids(GONE), *procfs.socket_inodes(GONE), *procfs.ancestors(GONE)] == []


def test_without_proc_there_are_no_processes(tmp_path: Path) -> None:
    assert procfs.pids(str(tmp_path / "none")) == []
    assert list(procfs.living(str(tmp_path / "none"))) == []


@pytest.mark.parametrize("text", [b"", b"7 (x", b"7 (x) S 1 1", b"7 (x) S " + b"a " * 60])
def test_an_invalid_stat_reads_as_none(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_bytes(text)
    assert procfs.read_stat(7, str(tmp_path)) is None


def test_a_name_may_hold_anything(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    rest = b" ".join(str(number).encode() for number in range(1, 60))
    (tmp_path / "7" / "stat").write_bytes(b"7 (a) R (\xff b) S " + rest)
    stat = procfs.read_stat(7, str(tmp_path))
    assert stat is not None
    assert (stat.comm, stat.state, stat.ppid, stat.environment_area) == (
        "a) R (\ufffd b",
        "S",
        1,
        (47, 48),
    )


def test_of_a_variable_that_is_there_twice_the_first_counts(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "environ").write_bytes(b"A=1\0A=2\0B=\0odd\0")
    assert procfs.read_environment(7, str(tmp_path)) == {b"A": b"1", b"B": b""}
    assert procfs.read_environment(7, str(tmp_path), holding=b"1") == {b"A": b"1", b"B": b""}
    assert procfs.read_environment(7, str(tmp_path), holding=b"3") is None
