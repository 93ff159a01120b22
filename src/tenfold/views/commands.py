"""Commands of tenfold as shown to people, so that they work as printed.

Owns: the options that a command needs to find the same run or to bring up the same cluster. Leaves
to others: which command helps (`why`, `troubles`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.cluster import settings
from tenfold.errors import InputError

_READS = "ps|logs|why|events|map|stacks|restart|down|stop|open|tag|note|rm|prune"
_COMMAND = re.compile(rf"tenfold (?:{_READS})(?: [A-Za-z0-9/._-]+)*(?=$|[;,|:)]| \|)")


def with_runs(text: str, runs: Path) -> str:
    """`text` with `--runs` added to each command in it that needs it.

    A command needs it if it would look elsewhere for a run.

    `text` is a command, or a hint that has some: `tenfold stacks x; tenfold map`.
    """
    if _is_usual(runs):
        return text
    option = f" --runs {shlex.quote(str(runs))}"
    return _COMMAND.sub(lambda match: match[0] + option, text)


def up_again(plan: Mapping[str, Any], runs: Path) -> str:
    """The command that starts the cluster of `plan.json` again.

    It has the options of the first start.
    """
    words = ["tenfold", "up", *_file(plan)]
    options = plan.get("options")
    if isinstance(options, list):
        words += [word for word in options if isinstance(word, str)]
    if not _is_usual(runs, plan.get("runs")):
        words += ["--runs", str(runs)]
    return shlex.join(words)


def _file(plan: Mapping[str, Any]) -> list[str]:
    """The cluster file's path from here.

    Empty if `tenfold up` finds the file by itself.
    """
    file, directory = plan.get("file"), plan.get("directory")
    if not isinstance(file, str):
        return []
    path = Path(directory if isinstance(directory, str) else ".", Path(file).name)
    here = Path.cwd()
    if path == here / "tenfold.yaml":
        return []
    return [str(path.relative_to(here) if path.is_relative_to(here) else path)]


def _is_usual(runs: Path, in_file: object = None) -> bool:
    """Whether runs are searched there without a flag."""
    try:
        named = {"runs": in_file if isinstance(in_file, str) else None}
        usual = Path(settings.resolve("runs", None, named).value)
        return usual.resolve() == runs.resolve()
    except (InputError, OSError):
        return False
