"""A task's output: nothing lost, nothing torn, whatever it writes."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tenfold.run.logs import LogReader
from tenfold.run.rundir import TaskDirectory
from tenfold.tasks.capture import Capture
from tests.disks import fill, small_disk


def captured(tmp_path: Path, code: str) -> TaskDirectory:
    """The directory of a task that ran this Python code."""
    directory = TaskDirectory(tmp_path / "worker-0")
    directory.path.mkdir(exist_ok=True)

    async def run() -> None:
        capture = Capture(directory, lambda *_: None, 1 << 30)
        out, err = capture.write_ends
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdout=out, stderr=err
        )
        capture.start()
        assert await asyncio.wait_for(child.wait(), 60) == 0
        capture.close()
        assert capture.lost_bytes == 0

    asyncio.run(run())
    return directory


def test_a_flood_is_kept_whole(tmp_path: Path) -> None:
    directory = captured(tmp_path, "for n in range(300_000): print('line', n)")
    expected = "".join(f"line {n}\n" for n in range(300_000))
    assert directory.log("stdout").read_text() == expected
    assert directory.log("stderr").read_bytes() == b""


def test_binary_long_and_unended_lines_are_kept(tmp_path: Path) -> None:
    code = (
        "import sys; out = sys.stdout.buffer; out.write(bytes(range(256)) * 100);"
        "out.write(b'x' * 10_000_000 + b'\\n'); out.write(b'last words')"
    )
    data = captured(tmp_path, code).log("stdout").read_bytes()
    assert data == bytes(range(256)) * 100 + b"x" * 10_000_000 + b"\nlast words"


def test_a_restarted_task_appends_to_the_same_file(tmp_path: Path) -> None:
    captured(tmp_path, "print('first')")
    directory = captured(tmp_path, "print('second')")
    assert directory.log("stdout").read_text() == "first\nsecond\n"
    times = [line.time for line in LogReader(directory, "stdout").read()]
    assert times[0] < times[1]


def test_output_that_cannot_be_written_is_counted_and_delays_no_task(tmp_path: Path) -> None:
    """On a full disk the task goes on."""

    async def run(directory: TaskDirectory) -> int:
        capture = Capture(directory, lambda *_: None, 1 << 30)
        out, err = capture.write_ends
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print('x' * 500_000)", stdout=out, stderr=err
        )
        capture.start()
        assert await asyncio.wait_for(child.wait(), 30) == 0
        capture.close()
        return capture.lost_bytes

    with small_disk(tmp_path / "disk", "64k") as disk:
        directory = TaskDirectory(disk / "worker-0")
        directory.path.mkdir()
        fill(disk)
        assert asyncio.run(run(directory)) == 500_001


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    captured(tmp_path, "pass")  # what asyncio opens once stays open
    before = len(os.listdir("/proc/self/fd"))
    captured(tmp_path, "pass")
    assert len(os.listdir("/proc/self/fd")) == before
