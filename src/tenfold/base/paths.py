"""Paths as people write them: `~` and `~name` stand for home directories.

Owns: what a `~` at the beginning of a path means, and what is said where it means nothing. Leaves
to others: which directory a relative path counts from.

Every path that a user can write passes through `expanded` once, where it is read: settings, flags,
arguments, and the paths of a cluster file. A directory called `~` is written `./~`.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from pathlib import Path

from tenfold.errors import InputError, shown

_VARIABLE = re.compile(r"(?:^|(?<=/))\$([A-Za-z_][A-Za-z0-9_]*)(?=/|$)")


class PathError(ValueError):
    """A path whose beginning cannot be resolved. `hint` explains how to write it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def expanded(
    path: str, environment: Mapping[str, str] | None = None, *, in_file: bool = False
) -> str:
    """`path` with the home directory that its `~` or `~name` stands for.

    Args:
        environment: where HOME is looked up, this process's if None.
        in_file: whether the path is in a cluster file, which has `${env.NAME}`.

    Raises PathError for a user that does not exist, for a user without a home directory, and for a
    `$NAME` that only a shell would replace.
    """
    known = os.environ if environment is None else environment
    found = _VARIABLE.search(path)
    if found and (found.start() == 0 or (in_file and found[1] in known)):
        raise PathError(
            f"${found[1]} is not expanded, because no shell is used", _instead(found[1], in_file)
        )
    if not path.startswith("~"):
        return path
    head, slash, rest = path.partition("/")
    home = _home_of(head[1:], known).rstrip("/")
    return f"{home}{slash}{rest}" or "/"


def user_path(path: str | os.PathLike[str], what: str) -> Path:
    """The path that a flag, a variable or a caller names.

    Raises InputError, which names `what`.
    """
    try:
        return Path(expanded(os.fspath(path)))
    except PathError as error:
        raise InputError(f"{what}: {error}", hint=error.hint, cause=error) from error


def _instead(name: str, in_file: bool) -> str:
    forms = ["~"] if name == "HOME" else []
    forms += [f"${{env.{name}}}"] if in_file else []
    return f"write {' or '.join(forms)}" if forms else "write the full path"


def _home_of(name: str, environment: Mapping[str, str]) -> str:
    if not name and environment.get("HOME"):
        return environment["HOME"]
    try:
        return (pwd.getpwnam(name) if name else pwd.getpwuid(os.getuid())).pw_dir
    except (KeyError, ValueError) as error:
        if name:
            hint = f"write the full path, or ./~{name} for a directory of that name"
            raise PathError(f"there is no user {shown(name)}", hint) from error
        message = "~ cannot be expanded: this user has no home directory, and HOME is not set"
        raise PathError(message, "set HOME, or write the full path") from error
