"""`tenfold init`: create a starter tenfold.yaml and train.py."""

from __future__ import annotations

import re
import shlex
from importlib import resources
from pathlib import Path

import click

from tenfold.base.paths import user_path
from tenfold.errors import InputError

_FILES = ("tenfold.yaml", "train.py")
"""What is written, from the files of the same names in `tenfold.starter`."""

_SCHEMA = ".tenfold/schema.json"


@click.command("init")
@click.argument("directory", default=".", type=click.Path(path_type=Path))
def command(directory: Path) -> None:
    """Create a starter tenfold.yaml and train.py in DIRECTORY (default: this directory).

    DIRECTORY is created if it does not exist. If one of the files exists, nothing is written.
    """
    from tenfold.cluster.schema import schema_text

    directory = user_path(directory, "DIRECTORY")
    texts = {name: _starter(name) for name in _FILES}
    texts["tenfold.yaml"] = texts["tenfold.yaml"].replace("CLUSTER", _cluster_name(directory))
    taken = [name for name in texts if (directory / name).exists()]
    if taken:
        raise InputError(
            f"{' and '.join(taken)} already {'exists' if len(taken) == 1 else 'exist'} "
            f"in {directory}",
            hint="nothing was written; name a new directory: tenfold init DIR",
        )
    try:
        _write(directory, texts, schema_text())
    except OSError as error:
        reason = f"cannot write {error.filename or directory}: {error.strerror}"
        raise InputError(reason, cause=error) from error
    where = "" if directory == Path() else f"cd {shlex.quote(str(directory))} && "
    click.echo(f"wrote {directory / 'tenfold.yaml'} and {directory / 'train.py'}", err=True)
    click.echo(f"next: {where}tenfold up", err=True)


def _starter(name: str) -> str:
    return resources.files("tenfold.starter").joinpath(name).read_text(encoding="utf-8")


def _cluster_name(directory: Path) -> str:
    """A valid cluster name made from the directory's name."""
    slug = re.sub(r"[^a-z0-9]+", "-", directory.absolute().resolve().name.lower())
    slug = slug.lstrip("-0123456789")[:63].strip("-")
    return slug or "my-cluster"


def _write(directory: Path, texts: dict[str, str], schema: str) -> None:
    """Write all files. Only the schema, which tenfold owns, may be replaced."""
    schema_file = directory / _SCHEMA
    schema_file.parent.mkdir(parents=True, exist_ok=True)
    schema_file.write_text(schema, encoding="utf-8")
    for name, text in texts.items():
        with (directory / name).open("x", encoding="utf-8") as file:
            file.write(text)
