"""A task's own limit of memory: on real clusters where this user may make control groups, and the
choice of a place on trees of files as other machines have them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tenfold.bringup.api import Run, sweep, up
from tenfold.planning.plan import RestartPolicy, Task
from tenfold.run.jsonfiles import read_json
from tenfold.tasks import memory
from tenfold.tasks.memory import ControlGroupDirectory, MemoryGroup, MemoryWatch
from tests.conftest import wait_for
from tests.plans import plan_of, shell

pytestmark = pytest.mark.alone

LIMIT = 64 << 20
EAT = f"exec {sys.executable} -c 'x = bytearray(600 << 20); import time; time.sleep(60)'"

needs_groups = pytest.mark.skipif(
    memory.refusal(memory.find_place()) is not None, reason="no control group can be made here"
)


def _groups() -> list[str]:
    place = memory.find_place()
    return [path.name for path in place.directory.glob("tenfold.*")] if place else []


def _task(run: Run, name: str) -> dict[str, object]:
    label = name.replace("/", "-")
    return read_json(run.directory.task(label).status) or {}


@needs_groups
def test_only_the_task_over_its_limit_is_hit_and_it_is_named(runs: Path, isolation: str) -> None:
    again = RestartPolicy("on-failure", 1, 0.0)
    hungry = replace(shell("worker/1", EAT), memory=LIMIT, restart=again)
    others = [
        replace(shell("chief", "exec sleep 600"), memory=LIMIT),
        replace(shell("worker/0", "exec sleep 600"), memory=LIMIT),
    ]
    run = up(plan_of(*others, hungry, success=("worker",)), runs=runs, isolation=isolation)
    status = run.wait(60)
    first = status["first_failure"]
    assert (first["task"], first["signal"], first["cause"]) == ("worker/1", "SIGKILL", "oom")
    assert first["words"] == "was killed (out of memory at its limit of 64MiB)"
    assert _task(run, "worker/1")["cause"] == "oom"
    assert [_task(run, name)["cause"] for name in ("chief/0", "worker/0")] == [None, None]
    assert [_task(run, name)["restarts"] for name in ("chief/0", "worker/1")] == [0, 1]
    assert _groups() == []


@needs_groups
def test_memory_of_child_processes_counts(runs: Path) -> None:
    child = f"{EAT.removeprefix('exec ')}; code=$?; echo the child: $code; exit $code"
    run = up(plan_of(replace(shell("chief", child), memory=LIMIT)), runs=runs)
    first = run.wait(60)["first_failure"]
    assert first["cause"] == "oom"
    assert first["words"] == "was killed (out of memory at its limit of 64MiB)"
    if first["signal"] is None:  # groups of version 1: of the task, only who was too large
        assert first["exit_code"] == 137
        assert "the child: 137" in first["lines"]


@needs_groups
def test_a_task_forked_from_a_preload_has_its_limit(runs: Path) -> None:
    eat = (sys.executable, "-c", "import json; print('forked'); x = bytearray(600 << 20)")
    task = Task("chief", 0, eat, workdir="/tmp", preload=("json",), memory=LIMIT)
    first = up(plan_of(task), runs=runs).wait(60)["first_failure"]
    assert (first["signal"], first["cause"]) == ("SIGKILL", "oom")


@needs_groups
def test_a_limit_that_is_kept_is_no_trouble_and_a_kill_is_a_kill(runs: Path) -> None:
    well = replace(shell("chief", "sleep 0.2; kill -9 $$"), memory=LIMIT)
    first = up(plan_of(well), runs=runs).wait(60)["first_failure"]
    assert (first["words"], first["cause"]) == ("was killed by SIGKILL", None)


@needs_groups
def test_groups_of_a_killed_supervisor_are_swept(runs: Path) -> None:
    run = up(plan_of(replace(shell("chief", "exec sleep 600"), memory=LIMIT)), runs=runs)
    run.wait(20, for_state=("running",))
    assert len(_groups()) == 1
    assert memory.sweep() == 0, "its owner lives"
    os.kill(int((read_json(run.directory.status) or {})["supervisor_pid"]), signal.SIGKILL)
    run.wait(60)
    wait_for(lambda: sweep(run.directory) == ["1 control groups"], 5)
    assert _groups() == []


@needs_groups
def test_a_group_counts_its_kills_and_goes_when_it_is_empty() -> None:
    place = memory.find_place()
    assert place is not None
    group = MemoryGroup.make(place, "worker-0", LIMIT)
    with subprocess.Popen(["sleep", "600"]) as sleeping:
        os.write(group.entry, str(sleeping.pid).encode())
        group.close()
        assert (group.kills(), group.remove()) == (0, False)
        sleeping.kill()
    wait_for(group.remove, 5)
    assert not group.directory.exists()


def _tree(root: Path, own: str, mounts: str) -> Path:
    process = root / "self"
    process.mkdir()
    (process / "cgroup").write_text(own)
    (process / "mountinfo").write_text(mounts.format(root=root))
    return process


def _group(path: Path, **files: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text)
    return path


MOUNT_2 = "30 24 0:26 / {root}/cg rw,nosuid - cgroup2 cgroup2 rw\n"


def test_with_version_2_a_group_is_created_in_a_delegated_subtree(tmp_path: Path) -> None:
    process = _tree(tmp_path, "0::/user/app.slice/term.scope\n", MOUNT_2)
    _group(tmp_path / "cg", cgroup__subtree_control="cpu memory", cgroup__procs="")
    app = _group(
        tmp_path / "cg/user/app.slice", cgroup__subtree_control="memory pids\n", cgroup__procs=""
    )
    _group(app / "term.scope", cgroup__subtree_control="", memory__max="max\n")
    assert memory.find_place(process) == ControlGroupDirectory(app, 2)


def test_with_version_2_no_group_escapes_an_outer_limit(tmp_path: Path) -> None:
    process = _tree(tmp_path, "0::/job\n", MOUNT_2)
    _group(tmp_path / "cg", cgroup__subtree_control="memory", cgroup__procs="")
    _group(tmp_path / "cg/job", cgroup__subtree_control="", memory__max="1073741824\n")
    assert memory.find_place(process) is None


def test_without_a_memory_controller_there_is_no_group(tmp_path: Path) -> None:
    process = _tree(tmp_path, "0::/a\n", MOUNT_2)
    _group(tmp_path / "cg", cgroup__subtree_control="cpu", cgroup__procs="")
    _group(tmp_path / "cg/a", cgroup__subtree_control="", memory__max="")
    assert memory.find_place(process) is None
    assert "may not create a control group" in str(memory.refusal(None))


def test_a_runner_counts_kills_in_a_group_that_has_a_limit_only(tmp_path: Path) -> None:
    process = _tree(tmp_path, "0::/job\n", MOUNT_2)
    group = _group(tmp_path / "cg/job", memory__max="max\n", memory__events="oom_kill 3\n")
    assert memory.own_kills(process) == 0
    (group / "memory.max").write_text(f"{LIMIT}\n")
    assert memory.own_kills(process) == 3


def test_a_runner_counts_kills_with_version_1_too(tmp_path: Path) -> None:
    mount = "30 24 0:26 / {root}/cg rw - cgroup cgroup rw,memory\n"
    process = _tree(tmp_path, "4:memory:/step_0\n", mount)
    group = _group(
        tmp_path / "cg/step_0",
        memory__limit_in_bytes="9223372036854771712\n",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    )
    assert memory.own_kills(process) == 0
    (group / "memory.limit_in_bytes").write_text(f"{LIMIT}\n")
    assert memory.own_kills(process) == 2


def test_version_2_takes_the_limit_counts_kills_and_kills_all_of_a_task(tmp_path: Path) -> None:
    directory = _group(tmp_path / "g", memory__events="low 0\noom 3\noom_kill 2\n")
    files = {name: form.format(LIMIT) for name, form in ControlGroupDirectory(tmp_path, 2).limits}
    assert files == {"memory.max": str(LIMIT), "memory.swap.max": "0", "memory.oom.group": "1"}
    assert MemoryGroup(directory, ControlGroupDirectory(tmp_path, 2), LIMIT, -1).kills() == 2


@pytest.mark.parametrize(
    ("code", "number", "kills", "words"),
    [
        (None, 9, 1, "was killed (out of memory at its limit of 64MiB)"),
        (137, None, 1, "was killed (out of memory at its limit of 64MiB)"),
        (1, None, 1, "exited with code 1 after a process of it ran out of memory"),
        (None, 6, 2, "was killed after 2 processes of it ran out of memory"),
        (0, None, 1, None),
    ],
)
def test_kills_in_the_group_of_a_task_explain_its_end(
    code: int | None, number: int | None, kills: int, words: str | None
) -> None:
    said = memory.memory_end(kills, LIMIT, code, number)
    assert said == words if words is None else str(said).startswith(words)


def test_a_sigkill_of_unknown_origin_is_probably_memory_if_the_kernel_counted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = tmp_path / "vmstat"
    monkeypatch.setattr(memory, "_VMSTAT", counted)
    counted.write_text("nr_free_pages 1\noom_kill 4\n")
    watch = MemoryWatch()
    watch._machine.append((0.0, 4))
    assert watch.begin("a-0", None).end(None, signal.SIGKILL) is None
    counted.write_text("nr_free_pages 1\noom_kill 5\n")
    probably = "was killed by SIGKILL, probably because the machine ran out of memory"
    assert watch.begin("a-0", None).end(None, signal.SIGKILL) == probably
    assert watch.begin("a-0", None).end(None, signal.SIGTERM) is None
    ours = watch.begin("a-0", None)
    ours.killed = True
    assert ours.end(None, signal.SIGKILL) is None, "it was us"
    watch.explain(1)
    assert watch.begin("a-0", None).end(None, signal.SIGKILL) is None, "a group accounts for it"
