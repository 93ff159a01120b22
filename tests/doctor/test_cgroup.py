"""Limits of control groups: trees of both versions as they are seen, and real ones where we may."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tenfold.doctor.cgroup import Limits, limits

MIB = 1 << 20
NO_LIMIT = "9223372036854771712"


def tree(root: Path, own: str, mounts: Mapping[str, str], files: Mapping[str, str]) -> Path:
    """A /proc/PID with these groups and mounts, and the files of the groups."""
    process = root / "process"
    process.mkdir()
    (process / "cgroup").write_text(own)
    lines = [
        f"30 23 0:30 {mount.partition(' ')[2] or '/'} {root}/{mount.partition(' ')[0]} rw - {kind}"
        for mount, kind in mounts.items()
    ]
    (process / "mountinfo").write_text("1 0 8:1 / / rw - ext4 /dev/a rw\n" + "\n".join(lines))
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return process


V2 = {"cg": "cgroup2 cgroup2 rw,nsdelegate"}
V1 = {"cg/cpu,cpuacct": "cgroup cgroup rw,cpu,cpuacct", "cg/memory": "cgroup cgroup rw,memory"}


def test_version_2_where_any_group_above_counts(tmp_path: Path) -> None:
    process = tree(
        tmp_path,
        "0::/a/b\n",
        V2,
        {
            "cg/a/cpu.max": "150000 100000",
            "cg/a/b/cpu.max": "max 100000",
            "cg/a/memory.max": str(512 * MIB),
            "cg/a/memory.current": str(200 * MIB),
            "cg/a/memory.stat": f"anon 1\ninactive_file {50 * MIB}\nactive_file 7",
            "cg/a/b/memory.max": "max",
        },
    )
    found = limits(process)
    assert found == Limits(1.5, 512 * MIB, 150 * MIB)
    assert found.left == 362 * MIB


def test_the_group_with_the_least_left_counts(tmp_path: Path) -> None:
    files = {
        "cg/a/memory.max": str(500 * MIB),
        "cg/a/memory.current": str(490 * MIB),
        "cg/a/b/memory.max": str(100 * MIB),
        "cg/a/b/memory.current": str(10 * MIB),
    }
    assert limits(tree(tmp_path, "0::/a/b\n", V2, files)).left == 10 * MIB


def test_limits_of_cgroup_version_1_are_read(tmp_path: Path) -> None:
    process = tree(
        tmp_path,
        "4:memory:/job\n2:cpu,cpuacct:/job\n1:name=systemd:/\n",
        V1,
        {
            "cg/cpu,cpuacct/job/cpu.cfs_quota_us": "50000",
            "cg/cpu,cpuacct/job/cpu.cfs_period_us": "100000",
            "cg/cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "cg/cpu,cpuacct/cpu.cfs_period_us": "100000",
            "cg/memory/memory.limit_in_bytes": NO_LIMIT,
            "cg/memory/job/memory.limit_in_bytes": str(64 * MIB),
            "cg/memory/job/memory.usage_in_bytes": str(32 * MIB),
            "cg/memory/job/memory.stat": f"inactive_file 0\ntotal_inactive_file {8 * MIB}",
        },
    )
    assert limits(process) == Limits(0.5, 64 * MIB, 24 * MIB)


def test_a_machine_that_has_both_versions(tmp_path: Path) -> None:
    process = tree(
        tmp_path,
        "4:memory:/\n0::/user\n",
        {**V1, "cg/unified": "cgroup2 cgroup2 rw"},
        {
            "cg/memory/memory.limit_in_bytes": str(64 * MIB),
            "cg/memory/memory.usage_in_bytes": "0",
            "cg/unified/user/cpu.max": "100000 100000",
        },
    )
    assert limits(process) == Limits(1.0, 64 * MIB, 0)


@pytest.mark.parametrize("own", ["0::/docker/abc\n", "0::/\n", "0::/../../elsewhere\n"])
def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path, own: str) -> None:
    """With a namespace of its own or without, and one that was entered from outside."""
    root = " /docker/abc" if "abc" in own else ""
    files = {"cg/cpu.max": "200000 100000", "cg/memory.max": "max"}
    process = tree(tmp_path, own, {f"cg{root}": "cgroup2 cgroup rw"}, files)
    assert limits(process) == Limits(2.0)


def test_without_control_groups_there_are_no_limits(tmp_path: Path) -> None:
    assert limits(tmp_path) == Limits()
    (tmp_path / "cgroup").write_text("nonsense\n0::\n")
    (tmp_path / "mountinfo").write_text("nonsense - cgroup2\n")
    assert limits(tmp_path) == Limits()
    assert limits(tmp_path).left is None


@pytest.fixture
def limited() -> Iterator[str]:
    """Shell that moves itself into real groups of 300 MiB and half a core; they are removed."""
    base = Path("/sys/fs/cgroup")
    name = f"tenfold-test-{os.getpid()}"
    if (base / "cgroup.controllers").exists():
        wanted = {base / name: {"memory.max": str(300 * MIB), "cpu.max": "50000 100000"}}
    else:
        wanted = {
            base / "memory" / name: {"memory.limit_in_bytes": str(300 * MIB)},
            base / "cpu" / name: {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"},
        }
    try:
        for group, values in wanted.items():
            group.mkdir()
            for file, value in values.items():
                (group / file).write_text(value)
        yield "; ".join(f"echo $$ > {group}/cgroup.procs" for group in wanted)
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    finally:
        for group in wanted:
            with contextlib.suppress(OSError):
                group.rmdir()


def test_limits_of_a_real_cgroup_are_measured(limited: str) -> None:
    code = (
        "import json; from tenfold.doctor.machine import measure; m = measure();"
        "print(json.dumps([m.cores, m.memory, m.available, m.limited]))"
    )
    script = f"{limited}; exec {sys.executable} -c '{code}'"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    cores, memory, available, is_limited = json.loads(done.stdout)
    assert (cores, memory, is_limited) == (0.5, 300 * MIB, True)
    assert 0 < available < 300 * MIB
