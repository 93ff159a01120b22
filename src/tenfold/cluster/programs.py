"""Programs and scripts that a command needs, and whether this machine has them.

Owns: looking as the tasks would, and the nearest name to one that is not there. Leaves to others:
which commands there are (`check`) and Python packages (`requirements`).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from tenfold.base.nearest import did_you_mean, nearest
from tenfold.cluster.python_choice import NAMES, OWN, PythonChoice
from tenfold.errors import shown

_PYTHON = re.compile(r"python[0-9.]*")


_PLAIN_OPTIONS = frozenset("bBdEIOPqsSuv")
"""Interpreter options without a value that hold for a whole process.

They hold whatever the process runs.
"""

_FORMS: dict[str, Literal["module", "code"]] = {"-m": "module", "-c": "code"}


@dataclass(frozen=True, slots=True)
class PythonCommand:
    """A parsed command line of a Python interpreter.

    For example `python -u train.py --rate 1`.

    `options` are the interpreter's, `arguments` those of what it runs: the script at the path
    `target`, the module of that name, or the code that it is.
    """

    interpreter: str
    options: tuple[str, ...]
    kind: Literal["script", "module", "code"]
    target: str
    arguments: tuple[str, ...]


class Missing(NamedTuple):
    """What a command cannot start without. `word` is its position in the command."""

    word: int
    message: str
    hint: str | None


def is_python(command: Sequence[str]) -> bool:
    """Whether a command's program is a Python interpreter, by its name."""
    return bool(command) and _PYTHON.fullmatch(Path(command[0]).name) is not None


def python_command(command: Sequence[str]) -> PythonCommand | None:
    """`command` parsed as a Python command, or None.

    None stands for other programs, and for everything else that Python reads or does.

    That is a script on standard input, an interactive session, and options that print and exit.
    """
    if not is_python(command):
        return None
    words = list(command[1:])
    options: list[str] = []
    while words and words[0].startswith("-") and words[0] not in _FORMS:
        option = words.pop(0)
        options.append(option)
        if option[:2] in ("-W", "-X"):
            if option in ("-W", "-X"):
                options.append(words.pop(0) if words else "")
        elif not option[1:] or not set(option[1:]) <= _PLAIN_OPTIONS:
            return None
    form = _FORMS.get(words.pop(0)) if words and words[0] in _FORMS else "script"
    if form is None or not words:
        return None
    return PythonCommand(command[0], tuple(options), form, words[0], tuple(words[1:]))


def script_of(command: Sequence[str]) -> str | None:
    """The Python script that a command runs, `train.py` of `python -u train.py`."""
    python = python_command(command)
    if python is None or python.kind != "script" or "${" in python.target:
        return None
    return python.target


def search_path(
    environment: Mapping[str, str], python: PythonChoice | None = None, links: str | None = None
) -> str:
    """The PATH of a task, on which its interpreter's programs come first.

    Args:
        environment: the environment whose PATH is continued.
        python: the interpreter that `python` means. None, in an image, stands for the one that
            runs tenfold, unless a virtual environment is active.
        links: a directory with links `python` and `python3` to the interpreter, for one that has
            not both names beside it (`PythonChoice.needs_links`).

    A PATH on which `python` already is that interpreter stays as it is, so that whatever an
    activation or the user put first stays first.
    """
    path = environment.get("PATH", os.defpath)
    if python is None:
        if environment.get("VIRTUAL_ENV"):
            return path
        return os.pathsep.join([str(Path(sys.executable).parent), path])
    if python.needs_links():
        more = [] if python.bin in path.split(os.pathsep) else [python.bin]
        return os.pathsep.join([*([links] if links else []), *more, path])
    first = shutil.which(NAMES[0], path=path)
    if python.source != OWN and first is not None and str(Path(first).parent) == python.bin:
        return path
    return os.pathsep.join([python.bin, path])


def interpreter_of(
    command: Sequence[str], workdir: Path, search: str, python: PythonChoice | None = None
) -> str | None:
    """Path of the Python interpreter that a command starts, as far as its files tell.

    It is the program itself, or the one that its `#!` line names (`torchrun`). None for other
    programs, and for those that are not there. `search` is the PATH.
    """
    program = command[0] if command else ""
    if python is not None and program in NAMES and python.needs_links():
        return python.path
    found = str(workdir / program) if "/" in program else shutil.which(program, path=search)
    if found is None or not os.access(found, os.X_OK):
        return None
    if is_python(command):
        return found
    try:
        with open(os.open(found, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            begin = stream.read(2 * _BEGIN_BYTES)
    except OSError:
        return None
    return _interpreter_named(begin, search)


_EXEC = re.compile(rb"'{3}exec' \"?(/[^\"\n]+?)\"? \"\$0\" ")
"""The second line of a script of pip whose interpreter has a long path."""


def _interpreter_named(begin: bytes, search: str) -> str | None:
    """The interpreter that the beginning of a script names, if it is Python."""
    line, _, rest = begin.partition(b"\n")
    words = [os.fsdecode(word) for word in line[2:].split()] if line[:2] == b"#!" else []
    if words and Path(words[0]).name == "env":
        names = [word for word in words[1:] if word[:1] != "-" and "=" not in word]
        words = [shutil.which(names[0], path=search) or ""] if names else []
    elif words and words[0] == "/bin/sh" and (found := _EXEC.match(rest)):
        words = [os.fsdecode(found[1])]
    return words[0] if words and is_python(words) else None


def missing(command: Sequence[str], workdir: Path, search: str) -> Missing | None:
    """What `command` lacks here when started in `workdir`, or None.

    None means nothing, as far as is known.
    """
    program = command[0]
    if "${" not in program and (lack := _unusable(program, workdir, search)):
        return lack
    if "${" not in program and not _is_program(program, workdir, search):
        what = f"there is no program {shown(program)}" + ("" if "/" in program else " on PATH")
        return Missing(0, what, _nearest_program(program, workdir, search))
    script = script_of(command)
    if script is None or _exists(workdir / script):
        return None
    directory = (workdir / script).parent
    if script.startswith("~"):
        message = f"there is no script {shown(script)}: no shell runs, so `~` stays as it is"
        return Missing(list(command).index(script), message, "use ${env.HOME}, or `workdir: ~/…`")
    names = [name for name in _listing(directory) if script.startswith(".") or name[0] != "."]
    near = did_you_mean(Path(script).name, names)
    hint = near or f"expected at {workdir / script}"  # whole, so that a secret is hidden
    return Missing(list(command).index(script), f"there is no script {shown(script)}", hint)


def _unusable(program: str, workdir: Path, search: str) -> Missing | None:
    """Why an existing program cannot be started.

    None if it can be, or if it does not exist.
    """
    found = workdir / program if "/" in program else shutil.which(program, path=search)
    if found is None:
        return None
    if not _exists(path := Path(found)):
        if not path.is_symlink():
            return None
        message = f"{shown(program)} is a symbolic link that leads nowhere"
        return Missing(
            0, message, f"it points to {os.readlink(path)}: ls -l {shlex.quote(program)}"
        )
    if path.is_dir():
        return Missing(0, f"{shown(program)} is a directory", "name a program in it")
    if not os.access(path, os.X_OK):
        hint = f"chmod +x {shlex.quote(program)}, or use its interpreter: {_by(program)}"
        return Missing(0, f"{shown(program)} is not executable", hint)
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            begin = stream.read(_BEGIN_BYTES)
    except OSError:
        return None  # a program need not be readable
    return _unusable_script(program, begin) or _without_interpreter(program, begin, search)


_BEGIN_BYTES = 256


def _unusable_script(program: str, begin: bytes) -> Missing | None:
    """A file that the kernel does not start, as a missing program, or None.

    It is text without `#!`, or with an interpreter that does not exist.

    A shell would run the former itself; no shell runs here (execve(2), ENOEXEC).
    """
    if not begin.startswith(b"#!"):
        if b"\0" in begin or begin.startswith(b"\x7fELF"):
            return None  # a binary, of whichever kind
        message = f"{shown(program)} has no #! line and cannot be started without a shell"
        return Missing(0, message, f"run it with its interpreter: {_by(program)}")
    words = begin[2:].partition(b"\n")[0].strip(b" \t").split()
    line = os.fsdecode(words[0]) if words else ""
    ending = begin.partition(b"\n")[0].endswith(b"\r")
    if ending:
        message = f"the #! line of {shown(program)} ends with a carriage return"
        return Missing(0, message, f"convert its Windows line endings: sed -i 's/\\r$//' {program}")
    if line.startswith("/") and not _exists(Path(line)):
        message = f"the #! line of {shown(program)} names {shown(line)}, which does not exist"
        return Missing(0, message, f"fix it, or run it with its interpreter: {_by(program)}")
    return None


def _without_interpreter(program: str, begin: bytes, search: str) -> Missing | None:
    """A script whose `#!/usr/bin/env NAME` names a program that is not on PATH."""
    words = begin.partition(b"\n")[0][2:].split() if begin.startswith(b"#!") else []
    if not words or not words[0].endswith(b"/env"):
        return None
    names = [os.fsdecode(word) for word in words[1:] if word[:1] != b"-" and b"=" not in word]
    if not names or shutil.which(names[0], path=search) is not None:
        return None
    message = f"the #! line of {shown(program)} names {shown(names[0])}, which is not on PATH"
    return Missing(0, message, f"fix it, or run it with its interpreter: {_by(program)}")


def _by(program: str) -> str:
    return f"{'python' if program.endswith('.py') else 'sh'} {shlex.quote(program)}"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_program(program: str, workdir: Path, search: str) -> bool:
    try:
        if "/" in program:
            return (workdir / program).is_file() and os.access(workdir / program, os.X_OK)
        return shutil.which(program, path=search) is not None
    except (OSError, ValueError):
        return False


def _nearest_program(program: str, workdir: Path, search: str) -> str | None:
    if len(words := program.split()) > 1:
        listed = json.dumps(words, ensure_ascii=False)
        return f"a list has one word per item: run: {listed}"
    if "/" in program:
        path = workdir / program
        near = nearest(path.name, _listing(path.parent))
        return f"did you mean {program.rpartition('/')[0]}/{near}?" if near else None
    if program.endswith(".py"):
        return f"write python {program}"
    names = {name for part in search.split(os.pathsep) for name in _listing(Path(part or "."))}
    return did_you_mean(program, sorted(names), 0.75) or "is it installed?"


def _listing(directory: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in directory.iterdir())
    except (OSError, ValueError):
        return []
