"""Command lines of Python, taken apart as the interpreter itself would."""

from __future__ import annotations

import pytest

from tenfold.cluster.command_line import split
from tenfold.cluster.programs import PythonCommand, python_command, script_of


@pytest.mark.parametrize(
    ("line", "options", "kind", "target", "arguments"),
    [
        ("python train.py", (), "script", "train.py", ()),
        ("python3.12 -u train.py -m x", ("-u",), "script", "train.py", ("-m", "x")),
        ("/opt/bin/python -uB -X dev -m a.b -c", ("-uB", "-X", "dev"), "module", "a.b", ("-c",)),
        ("python -Xdev -Wignore -c 'f(1)' -u", ("-Xdev", "-Wignore"), "code", "f(1)", ("-u",)),
        ("python -W error .", ("-W", "error"), "script", ".", ()),
    ],
)  # fmt: skip
def test_a_python_command_is_split_into_its_parts(
    line: str, options: tuple[str, ...], kind: str, target: str, arguments: tuple[str, ...]
) -> None:
    command = split(line)
    made = python_command(command)
    assert made == PythonCommand(command[0], options, kind, target, arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line",
    [
        "sh train.py",
        "pythonic train.py",
        "python",
        "python -",
        "python -i train.py",
        "python -V",
        "python --version",
        "python -m",
        "python -c",
        "python -X",
        "python -x train.py",
        "python -W",
    ],
)
def test_commands_other_than_python_are_not_forked(line: str) -> None:
    assert python_command(split(line)) is None


def test_a_script_whose_name_is_not_known_yet() -> None:
    assert script_of(["python", "train.py"]) == "train.py"
    assert script_of(["python", "${task.index}.py"]) is None
    assert script_of(["python", "-m", "train"]) is None
