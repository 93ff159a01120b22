"""`tenfold init`: write a tenfold.yaml for a training, or an example."""

from __future__ import annotations

import os
import shlex
import stat
import tempfile
from dataclasses import dataclass, field
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import click

from tenfold.base.paths import user_path
from tenfold.errors import Fault, InputError
from tenfold.frameworks import FRAMEWORKS, framework

_FILE = "tenfold.yaml"
_SCRIPT = "train.py"
_SCHEMA = ".tenfold/schema.json"
_MOST_NOTES = 12

_EXAMPLES = ("torch", "tensorflow", "jax")
"""Frameworks with an example, those that most people use first."""


@dataclass(slots=True)
class _Prepared:
    """The files to write, by their name, and what to say about them."""

    texts: dict[str, str]
    decisions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    warnings: tuple[Fault, ...] = ()


@click.command("init")
@click.argument("directory", default=".", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "source",
    metavar="SOURCE",
    help="Use this: a compose file, a batch or shell script, a Python script, or a command in "
    'quotes, such as "torchrun --nproc-per-node 4 train.py".',
)
@click.option(
    "--framework",
    "frame",
    type=click.Choice(list(FRAMEWORKS)),
    help="Use this framework. Without a training in DIRECTORY: write an example for it.",
)
@click.option("--dry-run", is_flag=True, help="Print the file and write nothing.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write the cluster file to FILE instead of tenfold.yaml (-: print it).",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
def command(
    directory: Path,
    source: str | None,
    frame: str | None,
    dry_run: bool,
    output: str | None,
    force: bool,
) -> None:
    """Write a tenfold.yaml for the training in DIRECTORY (default: this one).

    Recognises scripts of PyTorch, Lightning, Accelerate, Hugging Face, DeepSpeed, TensorFlow and
    JAX, and commands in batch scripts. Without any, it writes an example: tenfold.yaml and
    train.py. Nothing of yours is run or changed. DIRECTORY is created if it does not exist.
    """
    directory = user_path(directory, "DIRECTORY")
    name = _FILE if output in (None, "-") else str(output)
    made = _prepared(directory, name, source, frame)
    if dry_run or output == "-":
        click.echo(made.texts[name], nl=False)
        _tell(made)
        return
    _refuse_taken(directory, made, force=force)
    try:
        _write(directory, made.texts, force=force)
    except OSError as error:
        reason = f"cannot write {error.filename or directory}: {error.strerror}"
        raise InputError(reason, cause=error) from error
    _tell(made)
    written = " and ".join(str(directory / each) for each in made.texts)
    click.echo(f"wrote {written}", err=True)
    where = "" if directory == Path() else f"cd {shlex.quote(str(directory))} && "
    target = "" if name == _FILE else f" {shlex.quote(name)}"
    click.echo(f"next: {where}tenfold up{target}", err=True)


def _prepared(directory: Path, name: str, source: str | None, frame: str | None) -> _Prepared:
    """What to write. Raises InputError if `source` cannot be used."""
    from tenfold.starter import drafting

    if source is not None:
        draft = drafting.draft_from(source, directory, frame)
    else:
        found = drafting.draft_of(directory, frame)
        if found is None:
            return _example(directory, name, frame)
        draft = found
    text, warnings = drafting.checked_text(draft, directory, _SCHEMA)
    return _Prepared(
        {name: text},
        [f"made from {draft.origin}", *draft.reasons],
        [str(note) for note in draft.notes],
        draft.others,
        warnings,
    )


def _example(directory: Path, name: str, frame: str | None) -> _Prepared:
    """The example for the named framework, or the first that is installed."""
    from tenfold.starter.drafting import cluster_name

    installed = (each for each in _EXAMPLES if _is_installed(each))
    chosen = frame or next(installed, _EXAMPLES[0])
    templates = resources.files("tenfold.starter") / "templates"
    text = templates.joinpath(f"{chosen}.yaml").read_text(encoding="utf-8")
    script = templates.joinpath(f"{chosen}.py").read_text(encoding="utf-8")
    why = "--framework" if frame else "choose another one with --framework"
    return _Prepared(
        {name: text.replace("CLUSTER", cluster_name(directory)), _SCRIPT: script},
        [f"no training found here: this is an example for {chosen} ({why})"],
    )


def _is_installed(name: str) -> bool:
    needed = framework(name).requirement()
    try:
        return needed is not None and find_spec(needed[0]) is not None
    except (ImportError, ValueError):
        return False


def _refuse_taken(directory: Path, made: _Prepared, *, force: bool) -> None:
    taken = [name for name in made.texts if os.path.lexists(directory / name)]
    if not taken or force:
        return
    verb = "exists" if len(taken) == 1 else "exist"
    raise InputError(
        f"{' and '.join(taken)} already {verb} in {directory}",
        hint="nothing was written; print it with --dry-run, replace it with --force, or name a "
        "new directory: tenfold init DIR",
    )


def _write(directory: Path, texts: dict[str, str], *, force: bool) -> None:
    """Write all files. Without `force`, only the schema is replaced."""
    from tenfold.cluster.schema import schema_text

    schema_file = directory / _SCHEMA
    schema_file.parent.mkdir(parents=True, exist_ok=True)
    schema_file.write_text(schema_text(), encoding="utf-8")
    for name, text in texts.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if force and path.is_file():
            _replace(path, text)
        else:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)


def _replace(path: Path, text: str) -> None:
    """Replace a file at once, with its permissions."""
    mode = stat.S_IMODE(path.stat().st_mode)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
    try:
        os.chmod(file.name, mode)  # noqa: PTH101
        os.replace(file.name, path)  # noqa: PTH105
    except OSError:
        Path(file.name).unlink(missing_ok=True)
        raise


def _tell(made: _Prepared) -> None:
    """Say what was decided and why, and what was not carried over."""
    for decision in made.decisions:
        click.echo(f"· {decision}", err=True)
    for note in made.notes[:_MOST_NOTES]:
        click.echo(f"! {note}", err=True)
    if len(made.notes) > _MOST_NOTES:
        click.echo(f"! and {len(made.notes) - _MOST_NOTES} more, listed in the file", err=True)
    for warning in made.warnings:
        click.echo(f"! {warning.path}: {warning.message}", err=True)
    for other in made.others:
        click.echo(f"· or: {other}", err=True)
