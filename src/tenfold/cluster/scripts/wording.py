"""Messages about scripts that affect imports in a preloaded process.

Each gives a message, without the job's name and its end, and a hint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tenfold.base.secrets import is_secret
from tenfold.cluster.programs import python_command
from tenfold.cluster.scripts.early import Action, actions
from tenfold.cluster.scripts.hiding import LIKELY, first_hidden
from tenfold.cluster.scripts.sources import home_of
from tenfold.cluster.scripts.verdict import matters, verdict
from tenfold.frameworks import Framework


@dataclass(frozen=True, slots=True)
class Report:
    """What to report before a job starts.

    `forked`: its tasks have a preload all the same.
    """

    words: str
    hint: str
    forked: bool


def report(
    command: tuple[str, ...],
    workdir: Path,
    environment: Mapping[str, str],
    frame: Framework,
    job: str,
    modules: tuple[str, ...],
) -> Report | None:
    """The report about the preload of a task with this command.

    None if nothing is special.

    Reads the files that the command runs. Which modules a preload will have imported is not known
    yet: the usual ones are taken for granted.
    """
    python = python_command(command)
    if python is None or not modules:
        return None
    done = actions(command, workdir, environment)
    found = verdict(done, matters(frame, job, modules), environment, modules)
    if found.obstacle is not None:
        return Report(*obstacle_words(found.obstacle), forked=False)
    home = home_of(python, workdir, environment)
    first = (*found.directories, *([home] if home is not None else []))
    if (hidden := first_hidden(first, LIKELY | set(modules))) is not None:
        return Report(*hiding_words(*hidden), forked=False)
    return Report(*value_words(found.actions[0]), forked=True) if found.actions else None


def obstacle_words(action: Action) -> tuple[str, str]:
    """Of something that a script does before its imports, or may do."""
    words = f"{action.place} {action.words}, which may affect its imports"
    if action.variable is not None:
        return words, f"{_env(action)} in the file instead keeps the fast start"
    return words, "`preload: none` in the file confirms that this is intended"


def value_words(action: Action) -> tuple[str, str]:
    """Message and hint for a variable that a job's own preloaded process sets.

    The imports of the job see it.
    """
    words = f"{action.place} {action.words}: tenfold sets it before it imports modules"
    return words, f"{_env(action)} in the file sets it for all tasks"


def _env(action: Action) -> str:
    known = action.value is not None and not is_secret(action.variable or "")
    return f'env: {{{action.variable}: "{action.value if known else "…"}"}}'


def hiding_words(name: str, file: Path) -> tuple[str, str]:
    """Of a local module with the name of an installed one."""
    shown = file if file.suffix else f"{file}/"
    words = f"{shown} shadows the module {name} that other imports need"
    return words, "rename it, or set `preload: none` if this is intended"
