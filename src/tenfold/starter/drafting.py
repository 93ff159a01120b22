"""Decide what `tenfold init` makes its cluster file from.

Owns: what `--from` names, which of several things in a directory is taken, and the check of what
was drafted. Leaves to others: each source (`command_draft`, `batch_draft`, `compose_draft`,
`survey`), and the text (`text`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from tenfold.cluster.check import faults_here
from tenfold.cluster.file import Loaded, loads
from tenfold.cluster.file.document import read_bytes
from tenfold.errors import Fault, InputError
from tenfold.frameworks import NO_FRAMEWORK
from tenfold.starter.batch_draft import batch_draft, sbatch_options
from tenfold.starter.command_draft import command_draft
from tenfold.starter.compose_draft import compose_draft
from tenfold.starter.draft import Draft, literal, one_line
from tenfold.starter.launchers import Launch
from tenfold.starter.script_facts import script_facts
from tenfold.starter.script_jobs import add_script_jobs
from tenfold.starter.shell_text import ShellWord
from tenfold.starter.survey import FoundScript, FoundStart, Survey, survey, usual_name
from tenfold.starter.text import draft_text

_MOST_OTHERS = 5


def draft_from(source: str, directory: Path, wanted: str | None = None) -> Draft:
    """The draft from what `--from` names: a file or a command.

    Raises InputError if it is none of them, or cannot be read.
    """
    path = directory / source
    if not _is_file(path) and _is_file(Path(source)):
        path = Path(source)
    if _is_file(path):
        draft = _from_file(path, source, directory, wanted)
    elif len(source.split()) == 1 and _looks_like_file(source):
        raise InputError(f"--from: there is no file {source}", hint=_near(directory, source))
    elif re.match(r"\s*srun\s", source):  # its options are those of a batch script
        draft = batch_draft(source, one_line(source, 250), directory, wanted)
    else:
        draft = command_draft(source, directory, wanted)
    return _named(draft, directory)


def _looks_like_file(source: str) -> bool:
    suffixes = (".py", ".yaml", ".yml", ".sh", ".sbatch", ".slurm", ".ipynb")
    return source.endswith(suffixes) or "/" in source


def _near(directory: Path, source: str) -> str | None:
    from tenfold.base.nearest import did_you_mean

    try:
        names = sorted(path.name for path in directory.iterdir())
    except OSError:
        return None
    return did_you_mean(Path(source).name, names)


def _from_file(path: Path, source: str, directory: Path, wanted: str | None) -> Draft:
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return compose_draft(path, source, wanted)
    if suffix == ".ipynb":
        raise InputError(
            f"{source} is a notebook, and tasks run scripts",
            hint=f"convert it first: jupyter nbconvert --to script {shlex.quote(source)}; "
            "or run it inside a cluster: jupyter: true",
        )
    if suffix == ".py":
        return _from_script(path, source, directory, wanted)
    text = read_bytes(path, source).decode("utf-8", "replace")
    if not sbatch_options(text) and not re.match(r"#!.*sh\b", text) and suffix not in _SHELL:
        raise InputError(
            f"--from {source}: neither a compose file, a shell script nor a Python script",
            hint="name one of these, or a command in quotes",
        )
    return batch_draft(text, source, directory, wanted)


_SHELL = (".sh", ".sbatch", ".slurm", ".sub", ".batch", ".bash")


def _from_script(path: Path, source: str, directory: Path, wanted: str | None) -> Draft:
    facts = script_facts(path, directory)
    if facts is None:
        raise InputError(
            f"{source} cannot be parsed as Python", hint=f"python -m py_compile {source}"
        )
    draft = Draft(origin=source)
    words = [ShellWord("python", "python"), ShellWord(source, shlex.quote(source))]
    add_script_jobs(draft, Launch(words), facts, None, wanted)
    return draft


def draft_of(directory: Path, wanted: str | None = None) -> Draft | None:
    """The draft from what is in a directory, or None if nothing in it trains.

    A command in a shell script that starts the training is preferred to the script alone, if there
    is one such command. A compose file is taken if nothing else is found.
    """
    found = survey(directory)
    made = _from_survey(found, directory, wanted)
    if made is None:
        return None
    if found.cut:
        made.reasons.append("the directory is large: not all of it was looked at")
    for path in found.unreadable[:3]:
        made.reasons.append(f"{path} cannot be parsed as Python and was left out")
    return _named(made, directory)


def _from_survey(found: Survey, directory: Path, wanted: str | None) -> Draft | None:
    scripts = [one for one in found.scripts if wanted in (None, one.recipe.framework)]
    scripts = scripts or found.scripts
    if not scripts:
        return _without_script(found, directory, wanted)
    chosen = _chosen(scripts, directory)
    starts = [one for one in found.starts if _starts_it(one, chosen, directory)]
    if len(starts) == 1:
        draft = batch_draft(
            _text(directory / starts[0].path), str(starts[0].path), directory, wanted
        )
    else:
        draft = _from_script(directory / chosen.path, str(chosen.path), directory, wanted)
    _name_others(draft, found, chosen, starts)
    return draft


def _chosen(scripts: list[FoundScript], directory: Path) -> FoundScript:
    """The script to start: the only best one, or the one called `train.py`.

    Raises InputError if there are several: only the user knows which one is meant.
    """
    first = scripts[0]
    depth = len(first.path.parts)
    equal = [
        one
        for one in scripts
        if (len(one.path.parts), one.recipe.weight) == (depth, first.recipe.weight)
    ]
    named = [one for one in equal if usual_name(one.path)]
    one_place = {one.path.parent for one in equal} == {first.path.parent}
    if len(equal) == 1 or (named and one_place):
        return (named or equal)[0]
    listed = ", ".join(str(one.path) for one in equal[:8])
    more = f" and {len(equal) - 8} more" if len(equal) > 8 else ""
    where = "" if directory == Path() else f" {shlex.quote(str(directory))}"
    raise InputError(
        f"several trainings here: {one_line(listed, 600)}{more}",
        hint=f"name one of them: tenfold init{where} --from {shlex.quote(str(first.path))}",
    )


def _starts_it(start: FoundStart, script: FoundScript, directory: Path) -> bool:
    """Whether a command in a shell script runs this script."""
    if start.script is None:
        return False
    names = {directory / start.script, directory / start.path.parent / start.script}
    return any(path.resolve() == (directory / script.path).resolve() for path in names)


def _without_script(found: Survey, directory: Path, wanted: str | None) -> Draft | None:
    for path in found.compose:
        try:
            made = compose_draft(directory / path, str(path), wanted)
        except InputError:
            continue
        runs_python = any("python" in word for job in made.jobs.values() for word in job.run or ())
        if runs_python or made.tensorboard or made.jupyter or made.framework != NO_FRAMEWORK:
            return made
    return None


def _name_others(
    draft: Draft, found: Survey, chosen: FoundScript, starts: list[FoundStart]
) -> None:
    """Name what else could be started, with the command for it."""
    others: list[str] = []
    others += [str(one.path) for one in starts[:_MOST_OTHERS] if len(starts) > 1]
    others += [str(one.path) for one in found.scripts if one is not chosen]
    others += [str(path) for path in found.compose]
    for other in list(dict.fromkeys(others))[:_MOST_OTHERS]:
        draft.others.append(f"tenfold init --from {shlex.quote(other)}")


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _named(draft: Draft, directory: Path) -> Draft:
    """The draft with the name of the directory, unless its source has one."""
    if draft.cluster == Draft().cluster:
        draft.cluster = cluster_name(directory)
    return draft


def cluster_name(directory: Path) -> str:
    """A valid cluster name made from the directory's name."""
    slug = re.sub(r"[^a-z0-9]+", "-", directory.absolute().resolve().name.lower())
    slug = slug.lstrip("-0123456789")[:63].strip("-")
    return slug or "my-cluster"


# Checking what was drafted.


def checked_text(draft: Draft, directory: Path, schema: str) -> tuple[str, tuple[Fault, ...]]:
    """The text of the draft, and what `check` and `up` would warn about.

    What a warning says how to avoid is changed in the draft first. Raises InputError if what was
    read cannot be written as a valid file.
    """
    text = draft_text(draft, schema)
    for _ in range(2):
        loaded = _loaded(draft, text, directory)
        warnings = (*loaded.warnings, *faults_here(loaded))
        changed = [warning for warning in warnings if _avoid(draft, warning)]
        if not changed:
            return text, warnings
        text = draft_text(draft, schema)
    loaded = _loaded(draft, text, directory)
    return text, (*loaded.warnings, *faults_here(loaded))


def _loaded(draft: Draft, text: str, directory: Path) -> Loaded:
    """The drafted file. Its faults are those of the source it was made from."""
    try:
        return loads(text, directory=directory)
    except InputError as error:
        first = error.faults[0] if error.faults else None
        reason = f"{first.path}: {first.message}" if first is not None else str(error)
        raise InputError(
            f"{one_line(draft.origin, 200)} cannot become a cluster file: {reason}",
            hint=first.hint if first is not None else None,
            cause=error,
        ) from error


def _avoid(draft: Draft, warning: Fault) -> bool:
    """Change the draft so that a warning is not repeated. Returns whether it could."""
    job = next((draft.jobs[name] for name in _job_of(warning) if name in draft.jobs), None)
    if job is None or warning.hint is None:
        return False
    if "`preload: none`" in warning.hint and job.preload is None:
        job.preload = "none"
        draft.reasons.append(f"preload: none, because {warning.message}")
        return True
    found = re.search(r'env: \{(\w+): "([^"…]*)"\}', warning.hint)
    if found is None or found[1] in job.env:
        return False
    job.env[found[1]] = literal(found[2])
    reason = f"env {found[1]}={found[2]}: {warning.message} ({warning.hint})"
    if reason not in draft.reasons:
        draft.reasons.append(reason)
    return True


def _job_of(warning: Fault) -> Iterator[str]:
    parts = warning.path.split(".")
    if parts[:1] == ["jobs"] and len(parts) > 1:
        yield parts[1]
