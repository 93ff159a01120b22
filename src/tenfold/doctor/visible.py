"""Which GPUs a framework sees.

The framework itself is asked, in a child process that imports it.

That takes seconds, so it is done where there is a GPU, or when it is asked for.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from tenfold.base.quantities import limit_text
from tenfold.cells.probing.ask import Answer, ask
from tenfold.cells.probing.findings import Finding, State
from tenfold.cells.probing.hints import pip_install
from tenfold.cluster.python_choice import is_own
from tenfold.cluster.python_probe import install_command, installed
from tenfold.frameworks import FRAMEWORKS, framework
from tenfold.frameworks.packages import GpuQuestion

IMPORT_S = 120.0
"""Seconds that an import and a look at the devices may take."""

_MARK = "tenfold-doctor-gpus="
_NO_DIRECTORY = "import sys; sys.path[:] = [p for p in sys.path if p]"
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}

NAMES = tuple(name for name in FRAMEWORKS if framework(name).gpus is not None)
"""Frameworks that can be asked."""


def visible(
    name: str, here: int, timeout_s: float = IMPORT_S, python: str | None = None
) -> Finding:
    """How many of this machine's `here` GPUs the framework `name` sees.

    It is one of `NAMES`, and is imported by the interpreter at `python`, or tenfold's own.

    The finding is of area `gpu`; of `framework`, and broken, if it cannot be imported.
    """
    question = framework(name).gpus
    assert question is not None
    code = f"{question.code}; print('{_MARK}%d' % n)"
    path = python or sys.executable
    answer = ask([path, "-c", f"{_NO_DIRECTORY}; {code}"], timeout_s, _QUIET)
    if answer is None:
        message = f"was not imported within {limit_text(timeout_s)}"
        return _unusable(name, message, f"{path} -X importtime -c 'import {name}'")
    sees = _number(answer)
    if sees is None:
        message = f"cannot be imported: {answer.last_line()}"
        return _unusable(name, message, f"{path} -c 'import {name}' shows the details")
    return _compared(name, question, sees, here, path)


def _found(name: str, state: State, message: str, hint: str | None = None) -> Finding:
    return Finding("gpu", name, state, None, message, hint)


def _unusable(name: str, message: str, hint: str) -> Finding:
    return Finding("framework", name, "broken", None, message, hint)


def _number(answer: Answer) -> int | None:
    for line in answer.out.splitlines():
        if answer.code == 0 and line.startswith(_MARK):
            return int(line.removeprefix(_MARK))
    return None


def _compared(name: str, question: GpuQuestion, sees: int, here: int, python: str) -> Finding:
    if here == 0 and sees == 0:
        return _found(name, "ok", "can be imported; sees no GPU, and there is none")
    if sees >= here:
        return _found(name, "ok", f"sees {sees} GPU{'s' if sees != 1 else ''}")
    message = f"sees {sees or 'none'} of the {here} GPU{'s' if here != 1 else ''} here"
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        hint = "unset CUDA_VISIBLE_DEVICES"
        return _found(name, "warning", f"{message} (CUDA_VISIBLE_DEVICES={chosen})", hint)
    return _found(name, "warning", message, _with_cuda(question, python))


def _with_cuda(question: GpuQuestion, python: str) -> str:
    """The command that replaces the package by one built for CUDA."""
    own = is_own(python)
    command = (pip_install if own else partial(install_command, python))(question.requirement)
    if question.index is not None:
        options = f"install --force-reinstall --index-url {question.index} "
        return command.replace("install ", options, 1)
    if question.replaces is not None and _has(python, question.replaces):
        remove = command.partition(" install ")[0] + f" uninstall -y {question.replaces}"
        return f"{remove} && {command}"
    return command


def _has(python: str, distribution: str) -> bool:
    return installed(python, (), (distribution,)).versions.get(distribution) is not None
