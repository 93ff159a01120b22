"""Tasks forked from a preloaded process: who shares one, restarts, and what goes wrong."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tenfold.bringup.api import Run, up
from tenfold.planning.plan import Plan, RestartPolicy, Task
from tenfold.run.eventlog import read_events
from tenfold.run.jsonfiles import read_json
from tenfold.run.logs import last_lines
from tests.conftest import survivors, wait_for
from tests.plans import plan_of

TELL = "import sys; print('before' if 'this_is_slow' in sys.modules else 'not yet', flush=True)"
SLEEP = "import time; time.sleep(600)"


def python(name: str, code: str, **more: object) -> Task:
    """A task that runs Python code, and may be forked."""
    job, _, index = name.partition("/")
    values = {"preload": ("this_is_slow",), "workdir": "/tmp"} | more
    command = ("python", "-c", code)
    return Task(job=job, index=int(index or 0), command=command, **values)  # type: ignore[arg-type]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module `this_is_slow`, found by every task; what it holds is the test's to change."""
    path = tmp_path / "modules" / "this_is_slow.py"
    path.parent.mkdir()
    path.write_text("import os\nSEEN, IMPORTER = dict(os.environ), os.getpid()\n")
    monkeypatch.setenv("PYTHONPATH", str(path.parent))
    return path


def _pid(run: Run, name: str) -> int | None:
    found = next(task["pid"] for task in run.status()["tasks"] if task["task"] == name)
    return found if isinstance(found, int) else None


def _notes(run: Run) -> list[str]:
    events, _ = read_events(run.directory.events)
    return [str(event.more["message"]) for event in events if event.kind == "note"]


def _preload_of(run: Run) -> psutil.Process:
    """The one process that tasks are forked from."""
    said = read_json(run.directory.status) or {}
    (found,) = [
        one
        for one in psutil.Process(said["supervisor_pid"]).children(recursive=True)
        if one.status() != psutil.STATUS_ZOMBIE and "(tenfold: has imported" in one.cmdline()
    ]
    return found


def _finished(plan: Plan, runs: Path, isolation: str, state: str = "succeeded") -> Run:
    run = up(plan, runs=runs, isolation=isolation)
    assert run.wait(60)["state"] == state
    assert survivors(run.directory.path) == []
    return run


@pytest.mark.usefixtures("module")
def test_tasks_share_one_import(runs: Path, isolation: str) -> None:
    tasks = [python(f"worker/{n}", f"{TELL}; {SLEEP}") for n in range(3)]
    alone = python("alone", f"{TELL}; {SLEEP}", preload=())
    run = up(plan_of(*tasks, alone, success=("worker",)), runs=runs, isolation=isolation)
    run.wait(30, for_state=("running",))
    parents = {psutil.Process(_pid(run, task.name) or 0).ppid() for task in (*tasks, alone)}
    assert len(parents) == 1  # the launch server, whoever has forked them
    _preload_of(run)
    wait_for(lambda: last_lines(run.directory.task("alone-0"), 1) == ["not yet"])
    wait_for(lambda: last_lines(run.directory.task("worker-2"), 1) == ["before"])
    assert run.stop(timeout_s=60)["state"] == "stopped"
    assert survivors(run.directory.path) == []


@pytest.mark.usefixtures("module")
def test_tasks_that_differ_in_import_variables_have_separate_preloads(
    runs: Path, isolation: str
) -> None:
    show = "import this_is_slow as m, os; print(m.IMPORTER, m.SEEN.get('{0}'), os.environ['{0}'])"
    tasks = [
        *(python(f"late/{n}", show.format("SHARD"), env={"SHARD": str(n)}) for n in range(2)),
        *(python(f"soon/{n}", show.format("LANG"), env={"LANG": f"C{n}"}) for n in range(2)),
        python("all", show.format("ALL"), env={"ALL": "same"}),
    ]
    for task in tasks:
        task.env.setdefault("ALL", "same")
    run = _finished(plan_of(*tasks, success=("late", "soon", "all")), runs, isolation)
    said = {t.name: last_lines(run.directory.task(t.label), 1)[0].split() for t in tasks}
    assert [words[1:] for words in said.values()] == [
        ["None", "0"], ["None", "1"], ["C0", "C0"], ["C1", "C1"], ["same", "same"]
    ]  # fmt: skip
    importers = {name: words[0] for name, words in said.items()}
    assert importers["late/0"] == importers["late/1"] == importers["all/0"]
    assert len({importers["late/0"], importers["soon/0"], importers["soon/1"]}) == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise ValueError('a bad day')", "ValueError: a bad day"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by signal 11"),
        ("import os; os._exit(3)", "exited with 3"),
        ("raise SystemExit('enough')", "SystemExit: enough"),
        (
            "import threading, time\n"
            "threading.Thread(target=time.sleep, args=(600,), name='ticker').start()",
            "threads were started that a fork would not have: ticker",
        ),
    ],
)
def test_a_task_that_cannot_be_preloaded_is_started_and_reported(
    runs: Path, isolation: str, module: Path, text: str, reason: str
) -> None:
    module.write_text(text)
    tasks = [python(f"worker/{n}", TELL) for n in range(3)]
    run = _finished(plan_of(*tasks, success=("worker",)), runs, isolation)
    (note,) = _notes(run)
    assert reason in note
    assert last_lines(run.directory.task("worker-2"), 1) == ["not yet"]


@pytest.mark.skipif(sys.platform != "linux", reason="names a thread as Linux's C library does")
def test_jemallocs_thread_is_no_obstacle(runs: Path, isolation: str, module: Path) -> None:
    module.write_text(
        "import ctypes\n"
        "c, thread = ctypes.CDLL(None), ctypes.c_ulong()\n"
        "c.pthread_create(ctypes.byref(thread), None, c.pause, None)\n"
        "c.pthread_setname_np(thread, b'jemalloc_bg_thd')\n"
    )
    tasks = [python(f"worker/{n}", TELL) for n in range(2)]
    run = _finished(plan_of(*tasks, success=("worker",)), runs, isolation)
    assert _notes(run) == []
    assert last_lines(run.directory.task("worker-1"), 1) == ["before"]


def test_an_import_that_hangs_can_be_stopped(runs: Path, isolation: str, module: Path) -> None:
    begun = module.with_name("begun")
    module.write_text(f"import time; open({str(begun)!r}, 'w'); time.sleep(600)")
    run = up(plan_of(python("chief", TELL)), runs=runs, isolation=isolation)
    wait_for(begun.exists)
    assert len(survivors(run.directory.path)) == 1  # what imports
    assert run.stop(timeout_s=60)["state"] == "stopped"
    assert survivors(run.directory.path) == []


def test_a_preload_that_failed_does_not_remain(runs: Path, isolation: str, module: Path) -> None:
    module.write_text("import threading, time; threading.Timer(600, print).start()")
    run = up(plan_of(python("chief", f"{TELL}; {SLEEP}")), runs=runs, isolation=isolation)
    wait_for(lambda: last_lines(run.directory.task("chief-0"), 1) == ["not yet"])
    wait_for(lambda: survivors(run.directory.path) == [_pid(run, "chief/0")])
    run.stop(timeout_s=60)


def test_a_stop_during_the_import_starts_nothing_more(
    runs: Path, isolation: str, module: Path
) -> None:
    """Another task takes its time to end, and the import is done meanwhile."""
    begun, go = module.with_name("begun"), module.with_name("go")
    module.write_text(
        f"import os, time; open({str(begun)!r}, 'w')\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    )
    slow = f"trap 'touch {go}; sleep 1; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    other = Task(job="other", index=0, command=("sh", "-c", slow), workdir="/tmp")
    run = up(plan_of(python("chief", TELL), other), runs=runs, isolation=isolation)
    wait_for(lambda: begun.exists() and last_lines(run.directory.task("other-0"), 1) == ["up"])
    assert run.stop(timeout_s=60)["state"] == "stopped"
    assert last_lines(run.directory.task("chief-0"), 1) == []
    events, _ = read_events(run.directory.events)
    assert [e.task for e in events if e.kind == "task-started"] == ["other/0"]


def test_effects_of_an_import_are_the_same_as_without_a_preload(
    runs: Path, isolation: str, module: Path
) -> None:
    """What it sets in the environment is there; what it prints comes once, and not from tasks."""
    module.write_text(
        "import ctypes, os\n"
        "os.environ['SET_BY_IMPORT'] = 'yes'\n"
        "os.environ['DIFFERS'] = 'imported'\n"
        "print('said in Python', end='')\n"
        "ctypes.CDLL(None).printf(b'said in C')\n"
    )
    show = "import os; print(os.environ['SET_BY_IMPORT'], os.environ['DIFFERS'], flush=True)"
    tasks = [python(f"worker/{n}", show, env={"DIFFERS": str(n)}) for n in range(2)]
    run = _finished(plan_of(*tasks, success=("worker",)), runs, isolation)
    logs = [(run.directory.task(f"worker-{n}").log("stdout")).read_text() for n in range(2)]
    assert logs == ["yes 0\n", "yes 1\n"]
    log = run.directory.supervisor_log.read_text()
    assert (log.count("said in Python"), log.count("said in C")) == (1, 1)


@pytest.mark.usefixtures("module")
def test_a_restart_is_forked_too(runs: Path, isolation: str) -> None:
    code = f"{TELL}; import os; os.path.exists('again') or open('again', 'w') and sys.exit(5)"
    task = python(
        "chief", code, restart=RestartPolicy("on-failure", 1, 0.1), workdir="${run.directory}"
    )
    run = _finished(plan_of(task), runs, isolation)
    assert last_lines(run.directory.task("chief-0"), 2) == ["before", "before"]
    assert _notes(run) == []


@pytest.mark.usefixtures("module")
def test_tasks_keep_running_without_their_preload(runs: Path, isolation: str) -> None:
    """And those that start later are forked from another one."""
    tasks = [
        python("chief", f"{TELL}; {SLEEP}", restart=RestartPolicy("on-failure", 1, 0.1)),
        python("worker", SLEEP),
    ]
    run = up(plan_of(*tasks), runs=runs, isolation=isolation)
    run.wait(30, for_state=("running",))
    wait_for(lambda: last_lines(run.directory.task("chief-0"), 1) == ["before"])
    chief, worker = (_pid(run, task.name) for task in tasks)
    first = _preload_of(run)
    first.kill()
    wait_for(lambda: not first.is_running())
    os.kill(chief or 0, signal.SIGKILL)
    wait_for(lambda: _pid(run, "chief/0") not in (chief, None))
    wait_for(lambda: last_lines(run.directory.task("chief-0"), 2) == ["before", "before"])
    assert _preload_of(run).pid != first.pid
    assert _pid(run, "worker/0") == worker
    run.stop(timeout_s=60)
    assert survivors(run.directory.path) == []


@pytest.mark.usefixtures("module")
def test_descendants_of_forked_tasks_end_with_them(runs: Path, isolation: str) -> None:
    leave = (
        "import subprocess, os, sys\n"
        "subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "os.fork() or (os.setsid(), __import__('time').sleep(600))\n"
    )
    other = python("chief", SLEEP)
    run = up(plan_of(other, python("worker", leave)), runs=runs, isolation=isolation)
    wait_for(lambda: run.status()["tasks"][1]["state"] == "succeeded")
    wait_for(lambda: len(survivors(run.directory.path)) == 2, 10)  # the chief, its preload
    run.stop(timeout_s=60)


@pytest.mark.usefixtures("module")
def test_a_forked_task_reports_that_it_cannot_enter_its_directory(
    runs: Path, isolation: str
) -> None:
    run = _finished(
        plan_of(python("chief", TELL, workdir="/no/such/place")), runs, isolation, "failed"
    )
    assert "cannot enter /no/such/place" in str(run.status()["first_failure"])


@pytest.mark.usefixtures("module")
def test_other_interpreters_are_preloaded_with_their_own(
    runs: Path, isolation: str, tmp_path: Path
) -> None:
    """One without tenfold, as when tenfold was installed apart (pipx) and a venv is active."""
    link = tmp_path / "bare" / "bin"
    link.mkdir(parents=True)
    bare = Path(sys.base_prefix) / "bin" / "python3"
    (link / "python").symlink_to(bare)
    code = (
        f"{TELL}; print([n for n in sys.modules if n.startswith('tenfold')], sys.prefix)\n"
        "try: import tenfold\nexcept ImportError as error: print(error)"
    )
    task = python("chief", code, env={"PATH": f"{link}:/usr/bin:/bin"})
    run = _finished(plan_of(task), runs, isolation)
    assert last_lines(run.directory.task("chief-0"), 3) == [
        "before",
        f"[] {sys.base_prefix}",
        "No module named 'tenfold'",
    ]
    assert _notes(run) == []
