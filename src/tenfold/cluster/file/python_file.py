"""The Python form of a cluster file: a module that defines `cluster`.

Owns: running the user's file, and telling what goes wrong in it by its own lines. Leaves to others:
judging the Cluster (`load`), as for any other file.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tenfold.cluster.file.document import read_bytes
from tenfold.cluster.file.wording import findings
from tenfold.cluster.spec import Cluster
from tenfold.errors import Fault, InputError, SourcePosition, path_text, printable, shown

_EXAMPLE = 'from tenfold.cluster.spec import Cluster, Job\ncluster = Cluster(cluster="x", jobs={…})'


def cluster_of(path: Path, shown_as: str) -> Cluster:
    """The Cluster that the file at `path` defines as `cluster`.

    `cluster` may also be a function that returns it.

    What the file prints goes to stderr; no bytecode is written. Raises InputError, with the line of
    the file, if it raises or defines something else.
    """
    data = read_bytes(path, shown_as)
    module = types.ModuleType("tenfold_cluster_file")
    module.__file__ = str(path.absolute())
    try:
        with _as_script(path.absolute()):
            exec(compile(data, module.__file__, "exec"), module.__dict__)
            made = getattr(module, "cluster", None)
            if callable(made) and not isinstance(made, type):
                made = made()
    except ValidationError as error:
        raise InputError(faults=_invalid(error, module.__file__, shown_as), cause=error) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise InputError(
            faults=[_raised(error, module.__file__, shown_as, data)], cause=error
        ) from error
    if not isinstance(made, Cluster):
        got = "no `cluster`" if made is None else f"a `cluster` that is {_kind(made)}"
        message = f"has {got}; a tenfold.Cluster, or a function that returns one, is needed"
        raise InputError(faults=[Fault(SourcePosition(shown_as), "", message, _EXAMPLE)])
    return made


def _kind(value: object) -> str:
    return shown(value) if isinstance(value, (dict, list, str)) else f"of {type(value).__name__}"


@contextlib.contextmanager
def _as_script(path: Path) -> Iterator[None]:
    """As if the file were run: its directory is searched for modules.

    All is undone at the end.
    """
    search, bytecode = list(sys.path), sys.dont_write_bytecode
    sys.path.insert(0, str(path.parent))
    sys.dont_write_bytecode = True
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path[:], sys.dont_write_bytecode = search, bytecode


def _line(error: BaseException, file: str) -> int:
    """The last line of the user's file that was running; 0 if none was."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno or 0
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == file]
    return lines[-1] if lines else 0


def _raised(error: BaseException, file: str, shown_as: str, data: bytes) -> Fault:
    line = _line(error, file)
    column = error.offset or 1 if isinstance(error, SyntaxError) and line else 1
    text = (error.msg if isinstance(error, SyntaxError) else _message(error)).strip()
    first = printable(text.split("\n")[0])[:300]
    message = f"{type(error).__name__}: {first}" if first else type(error).__name__
    lines = data.decode("utf-8", "replace").splitlines()
    if line and column == 1 and line <= len(lines):
        column = len(lines[line - 1]) - len(lines[line - 1].lstrip()) + 1
    source = lines[line - 1] if 0 < line <= len(lines) else None
    return Fault(SourcePosition(shown_as, line, column), "", message, source_line=source)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the user's own exception may fail at that too
        return ""


def _invalid(error: ValidationError, file: str, shown_as: str) -> list[Fault]:
    """Faults of the arguments of `Cluster(…)` or `Job(…)`."""
    place = SourcePosition(shown_as, _line(error, file), 1)
    data = _given(error)

    def got(path: tuple[str | int, ...]) -> str:
        value = data
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return "something else"
        return shown(value)

    return [
        Fault(place, path_text(found.path), found.message, found.hint)
        for found in findings(error, data, got)
    ]


def _given(error: ValidationError) -> Any:
    """As much of the invalid arguments as the error remembers, by its locations."""
    data: dict[str, Any] = {}
    for item in error.errors(include_url=False):
        here: Any = data
        names = [part for part in item["loc"] if isinstance(part, (str, int))]
        for part in names[:-1]:
            here = here.setdefault(part, {}) if isinstance(here, dict) else {}
        if names and isinstance(here, dict) and item["type"] != "missing":
            here.setdefault(names[-1], item["input"])
    return data
