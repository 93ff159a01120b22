"""What a machine has, and from where on it gets tight."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tenfold.cells.probing.findings import Finding
from tenfold.doctor import machine
from tenfold.doctor.machine import GIB, Machine, disk, measure, ports
from tenfold.errors import InputError


def facts(**more: object) -> Machine:
    values: dict[str, object] = {"cores": 4.0, "all_cores": 4, "memory": 8 * GIB}
    values |= {"available": 6 * GIB, "limited": False, "files": 4096}
    return Machine(**(values | more))  # type: ignore[arg-type]


def told(about: str, **more: object) -> Finding:
    found = {finding.name: finding for finding in machine.machine(Path(), facts(**more))}
    return found[about]


def test_this_machine_is_measured_within_its_limits() -> None:
    here = measure()
    assert 0 < here.cores <= here.all_cores
    assert here.files > 0
    if sys.platform == "linux":
        assert here.memory is not None
        assert here.available is not None
        assert 0 < here.available <= here.memory
    found = machine.machine(Path(), here)
    assert len({finding.name for finding in found}) == len(found)
    assert {finding.area for finding in found} == {"machine"}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_cpu_affinity_limits_the_cores() -> None:
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usual)})
    try:
        assert measure().cores <= 1
    finally:
        os.sched_setaffinity(0, usual)


def test_usable_cores_are_reported() -> None:
    assert told("cores").message == "all 4 can be used"
    assert told("cores", cores=1.5).message == "1.5 of the 4 can be used"


def test_little_free_memory_is_a_warning() -> None:
    assert told("memory").message == "6.0 GiB free of the 8.0 GiB"
    assert told("memory", limited=True).message.endswith("that this container or job may have")
    assert told("memory", available=None).message == "8.0 GiB"
    little = told("memory", available=GIB // 2)
    assert (little.state, little.message) == ("warning", "512 MiB free of the 8.0 GiB")
    assert little.hint
    assert told("memory", memory=None, available=None).state == "warning"


def test_a_low_limit_of_open_files_is_a_warning() -> None:
    assert told("open files").state == "ok"
    assert told("open files", files=sys.maxsize).message == "no limit"
    few = told("open files", files=256)
    assert few.state == "warning"
    assert "prlimit" in (few.hint or "")


def test_disk_where_nothing_is_yet(tmp_path: Path) -> None:
    found = disk(tmp_path / "a" / "b")
    assert found.usable
    assert f"for runs in {tmp_path}/a/b" in found.message
    assert not (tmp_path / "a").exists()


def test_disk_that_cannot_be_written(
    as_nobody: Callable[[Callable[[], Finding]], Finding],
) -> None:
    found = as_nobody(lambda: disk(Path("/etc/runs")))
    assert (found.state, found.message) == ("broken", "runs cannot be written to /etc")
    assert "TENFOLD_RUNS" in (found.hint or "")


def test_disk_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    assert disk(tmp_path / "runs" / "x").state == "broken"


def test_disk_that_is_nearly_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "LITTLE_DISK", 1 << 62)
    assert disk(tmp_path).state == "warning"


def test_little_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/shm").is_dir():
        pytest.skip("no /dev/shm here")
    monkeypatch.setattr(machine, "LITTLE_SHARED", 1 << 62)
    found = told("shared memory")
    assert found.state == "warning"
    assert "PyTorch" in found.message
    assert "--shm-size" in (found.hint or "")


def test_a_lack_of_free_ports_is_reported() -> None:
    assert ports().state == "ok"

    def refuse() -> None:
        raise InputError("no free TCP port was found", hint="end what holds them")

    found = ports(refuse)
    assert (found.state, found.message) == ("broken", "no free TCP port was found")
    assert found.hint == "end what holds them"
