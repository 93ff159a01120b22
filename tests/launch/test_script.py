"""A forked Python program against the same under a plain `python`: what they see, how they end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tenfold.launch.client import LaunchClient
from tenfold.launch.preloads import Preload
from tests import pythons
from tests.own_process import require

PROGRAMS = Path(__file__).parent / "programs"
PYTHON = Path(sys.executable).name


@dataclass(frozen=True)
class Ended:
    """What a program left: its exit code (negative: signal), and what it wrote."""

    code: int
    out: str
    err: str


class Runner:
    """Runs programs as tasks of one launch server, forked and plain."""

    def __init__(self, isolated: bool, directory: Path, interpreter: str = sys.executable) -> None:
        self._isolated = isolated
        self.directory = directory
        self.interpreter = interpreter
        self.environment = {
            "PATH": f"{Path(interpreter).parent}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "WHO": "a task",
        }

    def plain(self, *argv: str, **more: str) -> Ended:
        """As any program."""
        return self._run([(argv, None)], more)[0]

    def forked(self, *argv: str, modules: Sequence[str] = ("json",), **more: str) -> Ended:
        """From a preload of its own."""
        return self.forked_many([argv], modules, **more)[0]

    def forked_many(
        self, commands: Sequence[Sequence[str]], modules: Sequence[str], **more: str
    ) -> list[Ended]:
        """All from one preload."""
        options = tuple(word for word in commands[0][1:2] if word in ("-O", "-P", "-Wignore"))
        variables = tuple(sorted({**self.environment, "WHO": "nobody"}.items()))
        preload = Preload(self.interpreter, options, tuple(modules), variables, "/", "cluster")
        return self._run([(argv, preload) for argv in commands], more)

    def _run(
        self, commands: Sequence[tuple[Sequence[str], Preload | None]], more: dict[str, str]
    ) -> list[Ended]:
        async def all_of_them() -> list[Ended]:
            client = LaunchClient(self._isolated)
            await client.open(lambda: None)
            try:
                return [await self._one(client, *command, more) for command in commands]
            finally:
                await client.close()

        return asyncio.run(all_of_them())

    async def _one(
        self,
        client: LaunchClient,
        argv: Sequence[str],
        preload: Preload | None,
        more: dict[str, str],
    ) -> Ended:
        environment = self.environment | more
        if preload is not None:
            await client.preload(preload, environment)
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        paths = [self.directory.parent / name for name in ("in", "out", "err")]
        paths[0].write_text("what was typed")
        with paths[0].open() as typed, paths[1].open("wb") as out, paths[2].open("wb") as err:
            stdio = (typed.fileno(), out.fileno(), err.fileno())
            await client.spawn(
                argv, environment, self.directory, stdio, ended.set_result, preload=preload
            )
        status = await asyncio.wait_for(ended, 60)
        code = os.waitstatus_to_exitcode(status)
        return Ended(code, paths[1].read_text(), paths[2].read_text())


@pytest.fixture
def runner(isolation: str, tmp_path: Path) -> Runner:
    """Programs run in a directory that holds `programs` and a link to one of them."""
    directory = tmp_path / "work"
    directory.mkdir()
    (directory / "programs").symlink_to(PROGRAMS)
    (directory / "link.py").symlink_to(PROGRAMS / "probe.py")
    package = directory / "package"
    package.mkdir()
    package.joinpath("__init__.py").touch()
    package.joinpath("__main__.py").write_text((PROGRAMS / "probe.py").read_text())
    with zipfile.ZipFile(directory / "archive.pyz", "w") as archive:
        archive.write(PROGRAMS / "probe.py", "__main__.py")
    return Runner(isolation == "namespace", directory)


def same(plain: dict[str, Any], forked: dict[str, Any]) -> None:
    """Assert that two probes saw the same, name by name."""
    assert plain.keys() == forked.keys()
    for name, value in plain.items():
        assert forked[name] == value, name


@pytest.mark.parametrize(
    "command",
    [
        ("programs/probe.py", "--rate", "0.1", "two words", ""),
        ("./programs/../programs/probe.py",),
        (str(PROGRAMS / "probe.py"),),
        ("link.py",),
        ("-O", "programs/probe.py"),
        ("-P", "programs/probe.py"),
        ("-Wignore", "programs/probe.py"),
        ("-m", "package", "x"),
        ("-m", "package.__main__", "x"),
        ("package",),
        ("archive.pyz", "x"),
        ("-c", "import runpy; runpy.run_path('link.py', run_name='__main__')", "x"),
    ],
    ids=lambda command: " ".join(command)[:40],
)
def test_a_program_sees_the_same(runner: Runner, command: tuple[str, ...]) -> None:
    argv = (PYTHON, *command)
    plain, forked = runner.plain(*argv), runner.forked(*argv)
    assert (forked.code, forked.err) == (plain.code, plain.err)
    seen = json.loads(forked.out)
    assert "WHO" in dict(seen["environ"])
    same(json.loads(plain.out), seen)


@pytest.mark.parametrize(
    "command",
    [
        ("ends.py", "code", "3"),
        ("ends.py", "code", "0"),
        ("ends.py", "code", "256"),
        ("ends.py", "text"),
        ("ends.py", "error"),
        ("ends.py", "cause"),
        ("ends.py", "interrupt"),
        ("ends.py", "sigint"),
        ("ends.py", "sigterm"),
        ("ends.py", "hook"),
        ("ends.py", "_exit"),
        ("ends.py", "abort"),
        ("ends.py", "thread"),
        ("ends.py", "unflushed"),
        ("bad.txt",),
        ("none.py",),
        ("",),
    ],
    ids=" ".join,
)
def test_a_program_ends_the_same(runner: Runner, command: tuple[str, ...]) -> None:
    argv = (PYTHON, f"programs/{command[0]}", *command[1:])
    assert runner.forked(*argv) == runner.plain(*argv)


@pytest.mark.parametrize("code", ["1/0", "import nothing_of_this_name", "raise SystemExit(4)", "("])
def test_code_ends_the_same(runner: Runner, code: str) -> None:
    assert runner.forked(PYTHON, "-c", code) == runner.plain(PYTHON, "-c", code)


@pytest.mark.parametrize("module", ["nothing.of.this.name", "json.decoder", "package.nothing"])
def test_modules_end_the_same(runner: Runner, module: str) -> None:
    assert runner.forked(PYTHON, "-m", module) == runner.plain(PYTHON, "-m", module)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works_in_a_forked_task(runner: Runner, method: str) -> None:
    argv = (PYTHON, "programs/pools.py", method)
    forked = runner.forked(*argv, modules=("multiprocessing.pool",))
    assert forked == runner.plain(*argv)
    assert [number for number, _ in json.loads(forked.out)] == [2, 4]


@pytest.mark.parametrize(
    ("modules", "isolation"),
    [
        (("random", "uuid", "tempfile", "multiprocessing", "numpy"), "namespace"),
        (("tensorflow",), "none"),
    ],
    indirect=["isolation"],
    ids=str,
)
def test_no_two_tasks_share_a_random_state(runner: Runner, modules: tuple[str, ...]) -> None:
    require(modules[-1])
    argv = (PYTHON, "programs/random_states.py", modules[-1])
    ended = runner.forked_many([argv] * 3, modules)
    assert [one.code for one in ended] == [0, 0, 0], ended[0].err
    first, *others = (json.loads(one.out) for one in ended)
    for other in others:
        alike = {name for name, value in first.items() if other[name] == value}
        assert not alike


@pytest.mark.parametrize("version", ["3.10", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize(
    "command",
    [
        ("programs/probe.py", "--rate", "0.1", "two words", ""),
        ("-m", "package", "x"),
        ("-c", "1/0"),
        ("-c", "import nothing_of_this_name"),
        ("-c", "def f():\n    raise OSError('x')\n\nf()"),
        ("-c", "import sys; sys.exit('enough')"),
    ],
    ids=lambda command: " ".join(command)[:40],
)
def test_other_versions_of_python_see_and_end_the_same(
    runner: Runner, command: tuple[str, ...], version: str
) -> None:
    python = pythons.of_version(version)
    if python is None:
        pytest.skip(f"this machine has no Python {version}")
    other = Runner(runner._isolated, runner.directory, python)
    argv = (Path(python).name, *command)
    plain, forked = other.plain(*argv), other.forked(*argv)
    assert (forked.code, forked.err) == (plain.code, plain.err)
    if plain.out:
        same(json.loads(plain.out), json.loads(forked.out))
