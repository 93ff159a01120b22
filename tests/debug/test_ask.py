"""Stacks of real processes, whatever state they are in; asking harms none."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.debug import ask, processes
from tenfold.debug.answers import SIGNAL
from tests.conftest import wait_for
from tests.debug.programs import ANSWERS, HOLD, UP, asked, functions, program, stop


def test_a_process_answers_with_all_its_threads(tmp_path: Path) -> None:
    code = f"{HOLD}{ANSWERS}other = threading.Event()\n"
    code += "threading.Thread(target=hold, args=[other.set], daemon=True).start()\n"
    code += "other.wait()\nwait()"
    with program(tmp_path, code) as pid:
        for _ in range(3):  # answers do not pile up
            (process,) = asked(tmp_path, pid)
            assert process.source == "faulthandler"
            assert functions(process) == ["wait", "<module>"]
            assert process.stacks[0].main
            assert functions(process, 1)[0] == "hold"
            assert len(process.stacks) == 2


def test_a_process_that_never_releases_the_gil_responds(tmp_path: Path) -> None:
    with program(
        tmp_path, f"{ANSWERS}def busy(): {UP}; sum(range(10**13))\nbusy()", waits=False
    ) as pid:
        (process,) = asked(tmp_path, pid)
        assert (process.source, functions(process)) == ("faulthandler", ["busy", "<module>"])


BUSY = f"""
import threading, time
{ANSWERS}
def busy():
    while True:
        sum(n * n for n in range(100))
for _ in range(4):
    threading.Thread(target=busy, daemon=True).start()
time.sleep(0.1)
{UP}
busy()
"""


def test_a_process_whose_threads_all_run_is_not_signalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """faulthandler reads their frames, and they give back the memory it reads."""
    monkeypatch.setattr(ask, "_MOMENT_S", 0.1)
    with program(tmp_path, BUSY, waits=False) as pid:
        (process,) = asked(tmp_path, pid)
        assert (process.source, len(process.stacks)) == ("py-spy", 5)
        monkeypatch.setattr(ask, "py_spy", lambda: None)
        (process,) = asked(tmp_path, pid)
        assert process.trouble == (
            "runs in several threads: cannot respond safely, and py-spy is not installed"
        )
        assert processes.state(pid) is not None


def test_a_process_without_a_handler_is_not_signalled(tmp_path: Path) -> None:
    code = f"{HOLD}wait()"
    with program(tmp_path, f"{HOLD}{ANSWERS}wait()") as other:  # so that there is a file
        assert asked(tmp_path, other)[0].source == "faulthandler"
        with program(tmp_path, code) as pid:
            (process,) = asked(tmp_path, pid)
            assert (process.source, functions(process)) == ("py-spy", ["wait", "<module>"])
            assert processes.state(pid) is not None, "it lives"


def test_a_process_that_closed_its_answer_file_is_not_signalled(tmp_path: Path) -> None:
    """Its answer would go into whatever it has opened under the same number since."""
    own = tmp_path / "own"
    code = f"import os, time\n{ANSWERS}os.closerange(3, 256)\n"
    code += f"kept = [open({str(own)!r}, 'ab') for _ in range(20)]\n{UP}; time.sleep(600)"
    with program(tmp_path, code) as pid:
        assert processes.answering(pid, SIGNAL or 0).caught
        (process,) = asked(tmp_path, pid)
        assert process.source == "py-spy"
        assert own.read_bytes() == b""


def test_a_stopped_process_is_read_and_not_signalled(tmp_path: Path) -> None:
    with program(tmp_path, f"{HOLD}{ANSWERS}hold()") as pid:
        stop(pid)
        (process,) = asked(tmp_path, pid)
        assert (process.state, process.source) == ("T", "py-spy")
        assert functions(process) == ["hold", "<module>"]
        assert processes.state(pid) == "T"
        assert not processes.answering(pid, SIGNAL or 0).pending


def test_a_process_that_blocks_the_signal_is_read_by_py_spy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "ANSWER_S", 0.2)
    code = f"import signal, time\n{ANSWERS}"
    code += f"signal.pthread_sigmask(signal.SIG_BLOCK, [{SIGNAL}])\n{UP}; time.sleep(600)"
    with program(tmp_path, code) as pid:
        assert [p.source for p in asked(tmp_path, pid)] == ["py-spy"]
        assert [p.source for p in asked(tmp_path, pid)] == ["py-spy"]


def test_python_below_a_shell_and_its_forks(tmp_path: Path) -> None:
    code = f"import os\n{HOLD}{ANSWERS}ready, up = os.pipe()\n"
    code += "def child(): os.write(up, b'x'); time.sleep(600)\n"
    code += "os.fork() or child()\nos.read(ready, 1)\nhold()"
    with program(tmp_path, code) as pid:
        parent, child = asked(tmp_path, pid)
        assert functions(parent) == ["hold", "<module>"]
        assert functions(child) == ["child", "<module>"]
        assert child.source == "faulthandler"


def test_a_program_that_is_not_python(tmp_path: Path) -> None:
    code = f"import os\n{UP}; os.execvp('sleep', ['sleep', '600'])"
    with program(tmp_path, code, waits=False) as pid:
        wait_for(lambda: not processes.is_python(pid), 5)
        (process,) = asked(tmp_path, pid)
        assert (process.command, process.trouble) == ("sleep", "is not a Python program")


def test_two_simultaneous_requests_for_stacks_both_get_an_answer(tmp_path: Path) -> None:
    with program(tmp_path, f"{HOLD}{ANSWERS}hold()") as pid:
        found: list[list[str]] = []

        def ask_often() -> None:
            for _ in range(5):
                (process,) = asked(tmp_path, pid)
                found.append([process.source or "", *functions(process)])

        askers = [threading.Thread(target=ask_often) for _ in range(3)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        assert found == [["faulthandler", "hold", "<module>"]] * 15


def test_an_unwritable_answer_file_only_costs_the_answer(tmp_path: Path) -> None:
    (tmp_path / "tasks" / "worker-0").mkdir(parents=True)
    (tmp_path / "tasks" / "worker-0" / "stacks").write_text("no directory")
    with program(tmp_path, f"{HOLD}{ANSWERS}hold()") as pid:
        assert not processes.answering(pid, SIGNAL or 0).caught
        assert [process.source for process in asked(tmp_path, pid)] == ["py-spy"]


def test_without_py_spy_the_hint_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "py_spy", lambda: None)
    with program(tmp_path, f"{HOLD}wait()") as pid:
        (process,) = asked(tmp_path, pid)
        assert process.trouble == "does not respond, and py-spy is not installed"
        assert "tenfold[profile]" in (process.hint or "")


def test_native_frames_or_pythons_and_why(tmp_path: Path) -> None:
    """py-spy's own unwinding fails on some builds of Python."""
    with program(tmp_path, f"{HOLD}{ANSWERS}wait()") as pid:
        (process,) = asked(tmp_path, pid, native=True)
        if process.source == "py-spy":
            assert any("libc" in frame.file for frame in process.stacks[0].frames)
        else:
            assert "py-spy failed: " in (process.trouble or "")
        assert {"wait", "<module>"} <= set(functions(process))


@pytest.fixture
def nobodys_py_spy() -> Iterator[str]:
    """py-spy as a user who may look into no process of ours."""
    real = ask.py_spy()
    if real is None or os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs py-spy, the superuser and setpriv")
    directory = Path(tempfile.mkdtemp(prefix="tenfold-spy-"))
    try:
        directory.chmod(0o755)
        shutil.copy(real, directory / "real")
        wrapper = directory / "py-spy"
        who = "--reuid 65534 --regid 65534 --clear-groups"
        wrapper.write_text(f'#!/bin/sh\nexec setpriv {who} {directory}/real "$@"\n')
        wrapper.chmod(0o755)
        yield str(wrapper)
    finally:
        shutil.rmtree(directory)


@pytest.mark.parametrize(
    ("scope", "container", "command"),
    [
        ("1\n", False, "sudo sysctl kernel.yama.ptrace_scope=0"),
        ("0\n", False, "sudo "),
        (None, True, "docker exec --privileged "),
    ],
)
def test_if_access_is_refused_the_command_that_grants_it_is_named(
    tmp_path: Path,
    nobodys_py_spy: str,
    monkeypatch: pytest.MonkeyPatch,
    scope: str | None,
    container: bool,
    command: str,
) -> None:
    monkeypatch.setattr(ask, "py_spy", lambda: nobodys_py_spy)
    monkeypatch.setattr(ask, "_SCOPE", tmp_path / "scope")
    monkeypatch.setattr(ask, "_CONTAINER", tmp_path if container else tmp_path / "none")
    if scope is not None:
        (tmp_path / "scope").write_text(scope)
    with program(tmp_path, f"{HOLD}wait()") as pid:
        (process,) = asked(tmp_path, pid)
        assert process.trouble == "py-spy has no permission to read it"
        assert command in (process.hint or "")


@pytest.mark.parametrize("framework", ["tensorflow", "torch", "jax"])
def test_the_extra_of_each_framework_brings_py_spy(framework: str) -> None:
    """A task that computes in many threads has stacks by py-spy only."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    assert set(extras["profile"]) <= set(extras[framework])
