"""The exception with which a failed task ended, and where it was raised.

Owns what counts: an exception before texts that are known, those before the last line on stderr.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from tenfold.cluster.programs import is_python
from tenfold.cluster.python_choice import NAMES
from tenfold.run.exceptions import Broken
from tenfold.run.logs.tracebacks import broken_in
from tenfold.run.statusfiles import FirstFailureStatus
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


def find_error(facts: RunFacts, told: FirstFailureStatus, lines: Sequence[str]) -> CauseLine | None:
    """What the first failing task reported.

    `told` is what status.json says about it.
    """
    kept, task = told.exception, str(told.death.task)
    uncaught = told.death.exit_code in _UNCAUGHT or kept is None or kept.frame is None
    found = (kept if uncaught else None) or broken_in(lines)
    finding = causes.said(lines, found)
    if finding is None:
        caught = kept.message if kept else ()
        return causes.last_words([text for text in told.stderr if text not in caught])
    finding = _with_command(facts, task, finding)
    return finding if found is None else _placed(facts, task, finding, found)


def _with_command(facts: RunFacts, task: str, finding: CauseLine) -> CauseLine:
    """`finding`, with the command that installs a missing module."""
    match = _NO_MODULE.search(finding.line)
    command = facts.plan.task(task).command
    if match is None or not is_python(command):
        return finding
    python = facts.plan.python if command[0] in NAMES else command[0]
    if python is None or "/" not in python:
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
    shown = _shown(frame.file, facts.plan.task(task).workdir)
    where = f"{shown}:{frame.line}"
    if frame.function and frame.function != "<module>":
        where += f" in {frame.function}"
    return CauseLine(finding.line, finding.cause, finding.hint, where, frame.source, message, root)


def _shown(file: str, workdir: object) -> str:
    """The file as its user knows it, relative to the task's directory."""
    if isinstance(workdir, str) and file.startswith(workdir.rstrip("/") + "/"):
        return posixpath.relpath(file, workdir)
    return file


def it_says(error: CauseLine) -> str:
    """`it says "ValueError: bad" (train.py:12 in step)`."""
    words = f'it says "{error.line}"'
    if error.root and error.root != error.line:
        words += f' because of "{error.root}"'
    if not error.where:
        return words
    if error.source and ": " not in error.line:  # a failed assertion: its line says more
        return f"{words} ({error.where}: {causes.cut(error.source)})"
    return f"{words} ({error.where})"
