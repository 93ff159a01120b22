"""`tenfold render`: print or write the files of the cell."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenfold.base.paths import user_path
from tenfold.cli.common import err, file_argument, json_option, on_option, print_json, set_option
from tenfold.errors import InputError

if TYPE_CHECKING:
    from tenfold.cells.rendering import RenderLocations


@click.command("render")
@file_argument
@set_option
@on_option
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    help="Write a self-contained directory.",
)
@click.option(
    "--with", "extra", multiple=True, type=click.Choice(["jobset"]), help="Write a JobSet."
)
@json_option
def command(
    file: Path | None,
    overrides: tuple[str, ...],
    cell: str | None,
    output: str | None,
    extra: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print the files that the cell of the cluster uses: compose.yaml, job.sbatch, manifests.

    With -o, write them to a directory with everything that `docker compose up`, `sbatch` or
    `kubectl apply` needs. Then only the image has to contain tenfold. This command starts nothing.
    """
    from tenfold.cells import client
    from tenfold.cells.export import RUN, run_files
    from tenfold.cluster import settings
    from tenfold.cluster.cell_table import traits
    from tenfold.cluster.file import load
    from tenfold.planning.planner import plan
    from tenfold.run.rundir import RunDirectory
    from tenfold.tasks.library import prepare

    loaded = load(file, settings=overrides)
    place = settings.resolve("cell", cell, {"cell": loaded.cluster.cell}).value
    made = plan(loaded, cell=place)
    made = client(place).accepted(made)
    target = user_path(output, "-o") if output else None
    places = _places(made.directory, target, frozenset(extra), relative=not traits(place).absolute)
    files = client(place).render(made, places)
    if as_json:
        print_json({"version": 1, "files": {one.path: one.text for one in files}})
    if target is None:
        if not as_json:
            click.echo("\n".join(one.text for one in files), nl=False)
        return
    for one in [*files, *run_files(made)]:
        _write(target / one.path, one.encoded())
    prepare(made, RunDirectory(target.resolve() / RUN), os.environ)
    err().print(f"wrote {target}/: {', '.join(one.path for one in files)}, run/")


def _places(
    project: str, target: Path | None, extra: frozenset[str], relative: bool
) -> RenderLocations:
    from tenfold.cells.export import RUN
    from tenfold.cells.rendering import RenderLocations

    if target is None:
        return RenderLocations(project, f"./{RUN}", python=sys.executable, extra=extra)
    where = target.resolve()
    if not relative:
        return RenderLocations(project, str(where / RUN), python=sys.executable, extra=extra)
    return RenderLocations(os.path.relpath(project, where), f"./{RUN}", extra=extra)


def _write(path: Path, data: bytes) -> None:
    """Write a file. Raises InputError if it exists with other content."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.read_bytes() != data:
            raise InputError(f"{path} already exists", hint="choose another directory: -o DIR")
        path.write_bytes(data)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}", cause=error) from error
