"""The output of faulthandler and py-spy → threads.

Lines that make no sense are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tenfold.debug.stacks import StackFrame, Thread

_HEAD = re.compile(r"(?:Current thread|Thread) 0x([0-9a-f]+).*\(most recent call first\):")
_FRAME = re.compile(r'  File "(.*)", line (\d+|\?+) in (.*)')

_FORKED, _MODULE = "/tenfold/launch/script.py", "<frozen runpy>"
"""Files of the frames below a program forked from a preload, or a module's."""

_THREAD = ("run", "_bootstrap_inner", "_bootstrap")
"""Functions of threading.py below every thread's own."""

_CUT = "..."
"""The marker for threads that faulthandler leaves out.

It leaves out all after a hundred, the main thread too.
"""


def from_faulthandler(text: str) -> tuple[Thread, ...]:
    """The threads of one dump, the main one first: faulthandler writes it last."""
    threads: list[list[StackFrame]] = []
    for line in text.splitlines():
        if _HEAD.match(line):
            threads.append([])
        elif threads and (found := _FRAME.match(line)):
            file, number, function = found.groups()
            threads[-1].append(
                StackFrame(function, file, int(number) if number.isdigit() else None)
            )
    stacks = [Thread(_own(frames)) for frames in reversed(threads)]
    return tuple(stacks) if _CUT in text.splitlines() else _ordered(stacks)


def from_py_spy(text: str) -> tuple[Thread, ...]:
    """The threads in py-spy's JSON. Raises ValueError if it is none."""
    said = json.loads(text)
    if not isinstance(said, list):
        raise ValueError("no list of threads")
    threads = [thread for thread in said if isinstance(thread, dict)]
    threads.sort(key=lambda thread: thread.get("os_thread_id") != thread.get("pid"))
    return _ordered(
        [Thread(_own([*_frames(each)]), _name(each.get("thread_name"))) for each in threads]
    )


def _frames(thread: Mapping[str, Any]) -> Iterator[StackFrame]:
    """Frames with the names that faulthandler uses.

    They lack the class or the function in which a function was made.
    """
    for frame in thread.get("frames") or []:
        name, file, line = (frame.get(key) for key in ("name", "filename", "line"))
        is_python = str(file).endswith((".py", ">"))
        name = str(name).rpartition(".")[2] if is_python else str(name)
        yield StackFrame(name, str(file), line or None)


def _name(name: object) -> str | None:
    return name if isinstance(name, str) and name else None


def _ordered(threads: Sequence[Thread]) -> tuple[Thread, ...]:
    """The first one is the process's main thread."""
    return tuple(Thread(t.frames, t.name, main=place == 0) for place, t in enumerate(threads))


def _own(frames: list[StackFrame]) -> tuple[StackFrame, ...]:
    """A program's frames without those that tenfold has put below them."""
    files = [frame.file for frame in frames]
    end = next((n for n, file in enumerate(files) if file.endswith(_FORKED)), len(files))
    while end and (files[end - 1] == _MODULE or _begins_thread(frames[end - 1])):
        end -= 1
    return tuple(frames[:end])


def _begins_thread(frame: StackFrame) -> bool:
    return frame.function in _THREAD and frame.file.endswith("/threading.py")
