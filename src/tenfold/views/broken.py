"""The exception with which a failed task ended, and where it was raised.

Owns what counts: an exception before texts that are known, those before the last line on stderr.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tenfold.cluster.programs import is_python
from tenfold.cluster.python_choice import NAMES
from tenfold.run.logs.tracebacks import Broken, TracebackFrame, broken_in
from tenfold.views import causes
from tenfold.views.causes import CauseLine
from tenfold.views.facts import RunFacts

_UNCAUGHT = (None, 1)
"""Exit codes with which Python ends because of an exception.

With other codes, an exception in the log was caught long ago.
"""

_MOST_MESSAGE = 12

_NO_MODULE = re.compile(r"No module named '?(\w+)")

_PACKAGES = {
    "PIL": "pillow",
    "cv2": "opencv-python",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
}
"""Packages whose modules have another name, by module."""


def find_error(facts: RunFacts, told: Mapping[str, Any], lines: Sequence[str]) -> CauseLine | None:
    """What the first failing task reported.

    `told` is the text of status.json about it.
    """
    kept = _told(told.get("exception"))
    uncaught = told.get("exit_code") in _UNCAUGHT or kept is None or kept.frame is None
    found = (kept if uncaught else None) or broken_in(lines)
    finding = causes.said(lines, found)
    if finding is None:
        stderr, caught = told.get("stderr"), kept.message if kept else ()
        texts = [str(line) for line in stderr] if isinstance(stderr, list) else []
        return causes.last_words([text for text in texts if text not in caught])
    task = str(told["task"])
    finding = _with_command(facts, task, finding)
    return finding if found is None else _placed(facts, task, finding, found)


def _with_command(facts: RunFacts, task: str, finding: CauseLine) -> CauseLine:
    """`finding` with the command that installs a missing module for the task's interpreter."""
    match = _NO_MODULE.search(finding.line)
    command = facts.planned(task).get("command")
    if match is None or not isinstance(command, list) or not is_python(command):
        return finding
    chosen = facts.plan.get("python")
    python = chosen.get("path") if command[0] in NAMES and isinstance(chosen, dict) else command[0]
    if not isinstance(python, str) or "/" not in python:
        return finding
    module = match[1]
    install = f"{shlex.quote(python)} -m pip install {_PACKAGES.get(module, module)}"
    return replace(finding, hint=f"install the package of {module}: {install}")


def _placed(facts: RunFacts, task: str, finding: CauseLine, found: Broken) -> CauseLine:
    frame = found.frame
    message = tuple(causes.cut(line) for line in found.message[:_MOST_MESSAGE])
    root = causes.cut(found.root) if found.root else None
    if frame is None or frame.file.startswith("<"):  # python -c: there is nothing to look into
        return CauseLine(finding.line, finding.cause, finding.hint, message=message, root=root)
    shown = _shown(frame.file, facts.planned(task).get("workdir"))
    where = f"{shown}:{frame.line}"
    if frame.function and frame.function != "<module>":
        where += f" in {frame.function}"
    return CauseLine(finding.line, finding.cause, finding.hint, where, frame.source, message, root)


def _shown(file: str, workdir: object) -> str:
    """The file as its user knows it, relative to the task's directory."""
    if isinstance(workdir, str) and file.startswith(workdir.rstrip("/") + "/"):
        return posixpath.relpath(file, workdir)
    return file


def it_says(error: Mapping[str, Any]) -> str:
    """`it says "ValueError: bad" (train.py:12 in step)`.

    `error` is the one in `why --json`.
    """
    words = f'it says "{error["line"]}"'
    if error.get("root") and error["root"] != error["line"]:
        words += f' because of "{error["root"]}"'
    where, source = error.get("where"), error.get("source")
    if not where:
        return words
    if source and ": " not in error["line"]:  # a failed assertion: its line says more
        return f"{words} ({where}: {causes.cut(str(source))})"
    return f"{words} ({where})"


def _told(value: object) -> Broken | None:
    """The exception in status.json, whoever wrote it."""
    if not isinstance(value, dict) or not isinstance(value.get("line"), str):
        return None
    message = value.get("message")
    root = value.get("root")
    return Broken(
        value["line"],
        tuple(str(line) for line in message) if isinstance(message, list) else (),
        _frame(value.get("frame")),
        root if isinstance(root, str) else None,
    )


def _frame(value: object) -> TracebackFrame | None:
    if not isinstance(value, dict):
        return None
    file, line = value.get("file"), value.get("line")
    function, source = value.get("function"), value.get("source")
    if not isinstance(file, str) or not isinstance(line, int):
        return None
    return TracebackFrame(
        file,
        line,
        function if isinstance(function, str) else None,
        source if isinstance(source, str) else None,
    )
