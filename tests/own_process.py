"""Tests that import a framework run in a process of their own, which imports no other framework.

TensorFlow and triton, which PyTorch's optimizers import, end in a segmentation fault if they meet
in one process and TensorFlow comes first (see docs/frameworks.md). So pytest's own process imports
no framework at all. A test that needs one in its process is marked `imports("torch")`, usually by
its module's `pytestmark`, and gets the framework with `lazily("torch")`. The tests of a module with
the same mark share one process, which is forked from pytest's when the first of them starts.

A test that imports a framework without this mark fails, and so does one that imports another
framework than the mark names.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Generator, Iterator
from types import ModuleType
from typing import IO, Any, NoReturn, cast

import pytest
from _pytest.runner import runtestprotocol

FRAMEWORKS = {
    "tensorflow": frozenset({"tensorflow", "jax"}),  # Keras brings libraries that import jax
    "torch": frozenset({"torch", "triton"}),
    "jax": frozenset({"jax"}),
}
"""Each framework, and the modules that only its tests may import."""

_GUARDED = frozenset().union(*FRAMEWORKS.values())
_MARK = "imports"


class _Lazy:
    """A module that is imported when a marked test reads the first of its attributes."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if not _Process.own:  # pytest's collection reads attributes of all objects in a module
            raise AttributeError(f"{self._name} is imported in tests marked {_MARK}(...) only")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(pytest.importorskip(self._name), attribute)


def lazily(name: str) -> Any:
    """The module `name`, imported by the first test that uses it and not by pytest's collection."""
    return _Lazy(name)


def require(name: str) -> None:
    """Skip the test, or the module that calls this, where `name` is not installed.

    `pytest.importorskip` would import it.
    """
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed: make test brings it", allow_module_level=True)


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, and what ends the last process."""
    config.addinivalue_line(
        "markers",
        f"{_MARK}(framework): runs in a process of its own, which imports this framework only",
    )
    config.pluginmanager.register(_Processes(), "own_process")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to run tests if a test module imported a framework when it was collected."""
    del session
    if held := _held():
        raise pytest.UsageError(
            f"collecting the tests imported {', '.join(sorted(held))} into pytest's own process: "
            "use lazily() of tests/own_process.py"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test that imports a framework which its mark does not name."""
    before = _held()
    result = yield
    name = _framework(item)
    allowed = FRAMEWORKS[name] if name else frozenset()
    if found := _held() - before - allowed:
        where = f"a process for {name}" if name else "pytest's own process"
        pytest.fail(f"the test imported {', '.join(sorted(found))} into {where}", pytrace=False)
    return result


def _held() -> frozenset[str]:
    return frozenset(name for name in _GUARDED if sys.modules.get(name) is not None)


def _framework(item: pytest.Item) -> str | None:
    marker = item.get_closest_marker(_MARK)
    return str(marker.args[0]) if marker is not None else None


def _group(item: pytest.Item | None) -> tuple[str, str] | None:
    """Tests of one group share a process. None: the test runs in pytest's own process."""
    name = _framework(item) if item is not None else None
    return (str(item.path), name) if item is not None and name else None


class _Processes:
    """Runs marked tests in the process of their group. At most one such process is alive."""

    def __init__(self) -> None:
        self._process: _Process | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> object:
        """Run a marked test elsewhere and report what came of it."""
        group = _group(item)
        if group is None:
            return None
        name = _framework(item) or ""
        if name not in FRAMEWORKS:
            raise pytest.UsageError(f"{item.nodeid}: no framework is called {name!r}")
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(item, last=_group(nextitem) != group):
            item.ihook.pytest_runtest_logreport(report=report)
        call = pytest.CallInfo.from_call(
            lambda: item.session._setupstate.teardown_exact(nextitem), "teardown"
        )
        if call.excinfo is not None:
            report = item.ihook.pytest_runtest_makereport(item=item, call=call)
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def pytest_unconfigure(self) -> None:
        """End the process of an interrupted session."""
        self._end()

    def _reports(self, item: pytest.Item, last: bool) -> Iterator[pytest.TestReport]:
        if self._process is None:
            self._process = _Process(item)
        reports: list[pytest.TestReport] = []
        call = pytest.CallInfo.from_call(
            lambda: reports.extend(self._asked(item, last)),
            "call",
            reraise=(KeyboardInterrupt, pytest.exit.Exception),
        )
        if call.excinfo is not None:
            self._end(kill=True)
            reports.append(item.ihook.pytest_runtest_makereport(item=item, call=call))
        elif last:
            self._end()
        yield from reports

    def _asked(self, item: pytest.Item, last: bool) -> list[pytest.TestReport]:
        assert self._process is not None
        answer = self._process.ask(item.session.items.index(item), last)
        if answer is None:
            status, self._process = self._process.wait(), None
            ended = signal.Signals(-status).name if status < 0 else f"exit code {status}"
            pytest.fail(f"the process of this test ended with {ended}", pytrace=False)
        load = item.config.hook.pytest_report_from_serializable
        return [load(config=item.config, data=data) for data in answer]

    def _end(self, kill: bool = False) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end(kill)


class _Process:
    """A fork of pytest's process that runs tests on request."""

    own = False
    """Whether this process is such a fork."""

    def __init__(self, item: pytest.Item) -> None:
        item.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined] # before the fork
        requests, answers = os.pipe(), os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # xdist has a thread (Python 3.12)
            self._pid = os.fork()
        if self._pid == 0:
            os.close(requests[1])
            os.close(answers[0])
            _serve(item.session, os.fdopen(requests[0]), os.fdopen(answers[1], "w"))
        os.close(requests[0])
        os.close(answers[1])
        self._requests = os.fdopen(requests[1], "w")
        self._answers = os.fdopen(answers[0])

    def ask(self, index: int, last: bool) -> list[dict[str, Any]] | None:
        """Run the test with this index. None: the process ended before it had an answer."""
        try:
            print(json.dumps([index, last]), file=self._requests, flush=True)
        except BrokenPipeError:
            return None
        line = self._answers.readline()
        return json.loads(line) if line.endswith("\n") else None

    def wait(self) -> int:
        """Its exit code, or minus the number of the signal that ended it."""
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()
        self._answers.close()
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def end(self, kill: bool) -> None:
        """End the process; if `kill`, by SIGABRT, which prints the stacks of its threads."""
        if kill:
            os.kill(self._pid, signal.SIGABRT)
        self.wait()


def _leave_out_what_tensorflow_tries() -> None:
    """Without these two, which nobody needs here, `import tensorflow` takes three quarters.

    See `tests/hidden_packages.py`.
    """
    for name in ("jax", "sklearn"):
        sys.modules.setdefault(name, cast("ModuleType", None))


def _serve(session: pytest.Session, requests: IO[str], answers: IO[str]) -> NoReturn:
    """Run the tests that are asked for until the requests end; never returns."""
    _Process.own = True
    _leave_out_what_tensorflow_tries()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # OpenMP's threads wait by turning round
    code = 0
    try:
        for line in requests:
            index, last = json.loads(line)
            item = session.items[index]
            # What stays set up: the module, or after its last test only what is around it.
            module = item.getparent(pytest.Module)
            stays: Any = module.parent if module is not None and last else item.parent
            reports = runtestprotocol(item, log=False, nextitem=stays)
            save = item.config.hook.pytest_report_to_serializable
            saved = [save(config=item.config, report=report) for report in reports]
            print(json.dumps(saved), file=answers, flush=True)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        os._exit(code)
