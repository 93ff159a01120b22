"""Where a task crashed in native code, according to Python's faulthandler.

Tasks run with PYTHONFAULTHANDLER=1, so Python writes its stack to stderr when the process gets a
fatal signal. The innermost frame with a file names the library that was called or imported. Of a
program that is not Python there is no such stack.
"""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from tenfold.base.naming import label_of
from tenfold.run.logs import last_lines
from tenfold.run.rundir import RunDirectory
from tenfold.views.endings import Meaning, signal_number

FATAL = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT, signal.SIGFPE}
)  # what faulthandler answers
_LINES = 2000
"""The maximum number of last lines that are searched.

This is more than one thread's 100 frames, since faulthandler may write those of other threads after
them.
"""

_BEFORE = 20
_BEGIN = "Fatal Python error: "
_CURRENT = "Current thread "
_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+|\?\?\?) in (?P<function>.*)')
_PACKAGES = ("site-packages", "dist-packages")
_STANDARD = re.compile(r"python3[\d.]*t?")

_ORDER = (
    "import triton before TensorFlow, or keep the directory of tenfold in PYTHONPATH "
    "(docs/torch.md, TensorFlow in the same process)"
)


@dataclass(frozen=True, slots=True)
class Crash:
    """Python's innermost frame at a crash.

    Attributes:
        library: the package that the frame's file belongs to; None for the user's own file.
        standard: whether it belongs to Python itself.
        importing: whether Python was loading a library of native code for an import.
        before: what the task wrote last before the crash.
    """

    library: str | None
    standard: bool
    file: str
    line: str
    function: str
    importing: bool
    before: tuple[str, ...] = ()

    def meaning(self, usual: Meaning | None) -> Meaning:
        """The crash as a clause, and what to do.

        `usual` is what the signal means.
        """
        whose = self.library or PurePath(self.file).name
        doing = "loaded for an import in" if self.importing else "called by"
        where = f"native code {doing} {whose}: {self._shown}, line {self.line}"
        if not self.importing:
            where += f", in {self.function}"
        words = f"a crash in {where}"
        if usual is not None and "a crash in native code" not in usual.words:
            words = f"{usual.words}; it was in {where}"
        if self.library == "triton" and self.importing:
            return Meaning(words, _ORDER)
        if usual is not None and usual.hint and self._is_general(usual):
            return Meaning(words, usual.hint)
        own = self.library is not None and not self.standard
        return Meaning(words, f"try another version of {self.library}" if own else None)

    @staticmethod
    def _is_general(usual: Meaning) -> bool:
        """Whether the signal's hint helps although the location is known."""
        return "segfault" not in (usual.hint or "")

    def to_json(self) -> dict[str, object]:
        """The shape of `crash` in `why --json`."""
        keys = ("library", "file", "line", "function", "importing")
        return {key: getattr(self, key) for key in keys}

    @property
    def _shown(self) -> str:
        """The file below its package directory. A file of the user stays as it is."""
        parts = PurePath(self.file).parts
        return "/".join(parts[parts.index(self.library) :]) if self.library in parts else self.file


def crash(run: RunDirectory, task: str, code: int | None, name: object) -> Crash | None:
    """Where `task` crashed, if Python reported it.

    The task ended with exit `code` or the signal `name`.
    """
    number = signal_number(name)
    if number is None and code is not None and code > 128:  # a shell's word for it
        number = code - 128
    if number not in FATAL:
        return None
    with contextlib.suppress(OSError, ValueError):
        return crash_in(last_lines(run.task(label_of(task)), _LINES))
    return None


def crash_in(lines: Sequence[str]) -> Crash | None:
    """The crash in the last report of faulthandler in `lines`."""
    begins = [place for place, line in enumerate(lines) if _BEGIN in line]
    if not begins:
        return None
    prefix, _, _ = lines[begins[-1]].partition(_BEGIN)  # `[rank0]: `, as torchrun writes
    rest = [line.removeprefix(prefix) for line in lines[begins[-1] :]]
    current = next((n for n, line in enumerate(rest) if line.startswith(_CURRENT)), None)
    if current is None:
        return None
    importing = False
    for line in rest[current + 1 :]:
        frame = _FRAME.fullmatch(line)
        if frame is None:
            return None
        if not frame["file"].startswith("<"):
            file, number, function = frame.group("file", "line", "function")
            library, standard = _library(file)
            before = tuple(lines[: begins[-1]][-_BEFORE:])
            return Crash(library, standard, file, number, function, importing, before)
        importing = importing or frame["function"] == "create_module"
    return None


def _library(file: str) -> tuple[str | None, bool]:
    """The library of a file, and whether it is Python's own.

    `triton` of `…/site-packages/triton/knobs.py`, and `ctypes` of `…/lib/python3.11/ctypes/…`.
    """
    parts = PurePath(file).parts
    for place in reversed(range(len(parts) - 1)):
        if parts[place] in _PACKAGES or _STANDARD.fullmatch(parts[place]):
            return parts[place + 1].removesuffix(".py"), parts[place] not in _PACKAGES
    return None, False
