"""A disk that is full for a while: under the logs, and under the checkpoints.

The disk is a small tmpfs in a mount namespace of this process's own: nobody else sees it, and it
goes with this process, however that ends.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from pathlib import Path

from chaos.ground import Ground, Run, python, wait
from chaos.small import training
from chaos.trial import Trial

DISK_KIB = 16 * 1024
LINE_BYTES = 4096
LAST = b"the last line\n"

_CLONE_NEWNS = 0x00020000

TALK = """
import os, sys, time
number = 0
while not os.path.exists("enough"):
    number += 1
    print(f"{number:08}".ljust(4095, "."), flush=True)
    time.sleep(0.002)
    with open("written", "w") as file:
        file.write(str(number))
print("the last line", flush=True)
"""
"""2 MB a second, until somebody says that it is enough. Lines are 4 KiB; `written` counts them."""


def needs_root() -> str | None:
    """Why it cannot be tried here."""
    return None if os.geteuid() == 0 else "it mounts a small file system, which takes root"


def small_disk(home: Path, kib: int = DISK_KIB) -> Path:
    """A directory below `home` with room for so much."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    place = home / "disk"
    place.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=0755", "chaos", str(place)]
    subprocess.run(argv, check=True)
    return place


def fill(disk: Path) -> Path:
    """A file that takes all that is left; removing it gives that back."""
    ballast = disk / "ballast"
    with open(ballast, "wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            return ballast


def full_for_logs(trial: Trial) -> None:
    """The run directory's disk is full while a task talks on."""
    disk = small_disk(trial.home)
    ground = Ground.of(trial, {"cluster": "logs", "jobs": {"chief": python(TALK)}}, disk=disk)
    run = ground.up()
    run.until("running")
    wait(lambda: _written(ground) > 100, 30, "some lines")
    ballast = fill(disk)
    at = _written(ground)
    wait(lambda: _written(ground) > at + 500, 60, "the task to talk on, though nothing is kept")
    trial.check("the task is not delayed", f"{_written(ground) - at} lines more", True)
    trial.equal("state while the disk is full", run.state, "running")
    run.why()
    ballast.unlink()
    back = wait(lambda: run.events("disk-back"), 30, "events to say that there is room again")
    trial.most("time until events report it, once there is space", back, 5.0, "s")
    (ground.home / "enough").touch()
    trial.equal("the run", run.until("succeeded", "failed", "stopped", timeout_s=60), "succeeded")
    _account(trial, ground, run)


def _written(ground: Ground) -> int:
    try:
        return int((ground.home / "written").read_text() or 0)
    except (OSError, ValueError):
        return 0


def _account(trial: Trial, ground: Ground, run: Run) -> None:
    """What is kept and what is lost are all that there was, and the end is there."""
    trial.equal("`disk-full` in the events", len(run.events("disk-full")), 1)
    lost = sum(event["lost_bytes"] for event in run.events("disk-back"))
    log = run.directory.task("chief-0").log("stdout").read_bytes()
    gaps = _GAP.findall(log)
    pieces = [_without_end(piece) for piece in _GAP.split(log)[:-1:2]] + [_GAP.split(log)[-1]]
    kept = sum(len(piece) for piece in pieces)
    written = _written(ground) * LINE_BYTES + len(LAST)
    told = f"{lost:,} reported as lost, {kept:,} kept"
    trial.check(f"of {written:,} bytes written", told, lost > 0 and lost + kept == written)
    trial.equal("lost bytes that the log marks", _sum(gaps), lost)
    torn = sum(not _is_line(line) for piece in pieces for line in piece.splitlines())
    trial.most("lines split where the disk became full", torn, len(gaps), "")
    trial.check("the last line is there", "yes", log.endswith(LAST))


_GAP = re.compile(rb"(\[tenfold: [0-9,]+ bytes lost: [^\n]*\]\n)")


def _sum(gaps: list[bytes]) -> int:
    return sum(int(gap.split()[1].replace(b",", b"")) for gap in gaps)


def _without_end(piece: bytes) -> bytes:
    """What is before a gap, without the newline that was put after a line that is cut."""
    return piece if len(piece) % LINE_BYTES == 0 else piece[:-1]


def _is_line(line: bytes) -> bool:
    return len(line) == LINE_BYTES - 1 or line + b"\n" == LAST


def full_for_checkpoints(trial: Trial) -> None:
    """The checkpoints' disk is full for some saves; the last good one stays, and new ones come."""
    disk = small_disk(trial.home)
    steps = trial.pick(250, 500)
    job = training(steps, kib=1024, place=str(disk / "kept"))
    ground = Ground.of(trial, {"cluster": "saves", "jobs": {"chief": job}})
    run = ground.up()
    wait(lambda: _steps(disk), 30, "a first checkpoint")
    ballast = fill(disk)
    before = _steps(disk)
    wait(lambda: "could not be saved" in run.log("chief/0", "stderr"), 30, "the task to say so")
    trial.check("the task reports it", _said(run, "could not be saved"), True)
    here = run.progress()
    wait(lambda: run.progress() > here + 0.1, 60, "the training to go on")
    trial.check("the training continues", f"{run.progress():.0%}", True)
    trial.equal("earlier checkpoints are there", _steps(disk), before)
    run.why()
    ballast.unlink()
    wait(lambda: _steps(disk)[-1:] > before[-1:], 30, "a new checkpoint")
    trial.check("once there is space again", _said(run, "saved again"), bool(_steps(disk)))
    trial.equal("the run", run.until("succeeded", "failed", "stopped", timeout_s=60), "succeeded")


def _steps(disk: Path) -> list[int]:
    found = [path.name.rpartition("-")[2] for path in disk.glob("kept/*/0*-step-*")]
    return sorted(int(step) for step in found if step.isdigit())


def _said(run: Run, words: str) -> str:
    lines = [line for line in run.log("chief/0", "stderr").splitlines() if words in line]
    return lines[-1].split(" (/")[0] if lines else "no word"
