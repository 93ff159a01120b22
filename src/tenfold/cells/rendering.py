"""Plan → a cell's own files.

They are text that a person could have written, and nothing is written to disk.

The text of each file is in the folder of its cell.

Pure: what the files say depends on the plan and on `RenderLocations` alone. `export.py` makes the
directory that works without tenfold at hand; commands write it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.base.json_text import is_utf8
from tenfold.errors import InputError, shown


@dataclass(frozen=True, slots=True)
class File:
    """A file to write: its path, relative to wherever it goes, and its text."""

    path: str
    text: str

    def encoded(self) -> bytes:
        """The bytes of the file.

        Raises InputError if the text has the name of a file that is not UTF-8: a batch script
        can hold it, YAML and JSON cannot.
        """
        script = self.path.endswith(".sbatch")
        try:
            return self.text.encode(errors="surrogateescape" if script else "strict")
        except UnicodeEncodeError as error:
            line = next(line for line in self.text.splitlines() if not is_utf8(line))
            raise InputError(
                f"{self.path} cannot hold a path that is not UTF-8: {shown(line.strip())}",
                hint="rename the directory, or run it on the cell local or slurm",
                cause=error,
            ) from error


@dataclass(frozen=True, slots=True)
class RenderLocations:
    """Where the files will be used.

    Attributes:
        project: the cluster file's directory, as the rendered files name it.
        run: the run directory, likewise.
        supervised: tenfold's supervisor starts, orders and restarts the tasks; otherwise the files
            say all that themselves.
        python: the interpreter that has tenfold, where tasks see this machine's files.
        extra: what was asked for beyond the usual form (`jobset`).
    """

    project: str
    run: str
    supervised: bool = False
    python: str = "python"
    extra: frozenset[str] = frozenset()
