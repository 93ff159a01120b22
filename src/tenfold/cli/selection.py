"""Which cluster, which file and which runs the user means.

Every command that takes a cluster takes it in the same ways: as CLUSTER or CLUSTER/RUN-ID, with
`-c`, or as the cluster of a file, with `-f FILE`. Where `-f` means `--follow`, write `--file FILE`,
or put `-f FILE` before the command, as with `docker compose`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from tenfold.cluster import settings
from tenfold.errors import InputError
from tenfold.run.rundir import RunDirectory, every, find

WITHOUT_FILE = ("init", "schema", "config", "completion", "task")
"""Commands to which a cluster file means nothing."""

FILE_PARAMETER = "cluster_file"
"""The name of the parameter that `file_option` makes."""

_FILE, _NAMED, _CLUSTER = "tenfold.file", "tenfold.named", "tenfold.cluster"
_HELP = "Use this cluster file."


@dataclass(frozen=True, slots=True)
class NamedByFile:
    """What a cluster file given with `-f` says: the cluster, and where its runs are."""

    cluster: str
    runs: str | None


def file_option(*, short: bool = True) -> click.Option:
    """The option `-f FILE`.

    Without `short` only `--file`, for a command whose `-f` means `--follow`.
    """
    names = ["-f", "--file"] if short else ["--file"]
    return click.Option(
        [*names, FILE_PARAMETER],
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=_HELP,
        expose_value=False,
        is_eager=True,
        callback=_keep_file,
    )


def _keep_file(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    del parameter
    if value is not None:
        ctx.meta[_FILE] = value
    return value


def file_of_argument(
    ctx: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    """The value of a FILE argument, which `-f FILE` can replace."""
    del parameter
    named: Path | None = ctx.meta.get(_FILE)
    if value is not None and named is not None:
        raise InputError("the cluster file is given twice", hint=f"remove -f {named} or {value}")
    return named if value is None else value


def named_by_file() -> NamedByFile | None:
    """The cluster of the file that was given with `-f`. The file is read once.

    Raises InputError if the file has faults.
    """
    ctx = click.get_current_context(silent=True)
    if ctx is None or (file := ctx.meta.get(_FILE)) is None:
        return None
    if _NAMED not in ctx.meta:
        from tenfold.cluster.file import load
        from tenfold.planning.planner import plan

        made = plan(load(file))
        ctx.meta[_NAMED] = NamedByFile(made.cluster, made.runs)
    found: NamedByFile = ctx.meta[_NAMED]
    return found


def runs_directory(flag: str | None = None) -> Path:
    """The directory that holds the runs, by the order of precedence of settings."""
    named = named_by_file()
    return Path(settings.resolve("runs", flag, {"runs": named.runs if named else None}).value)


def chosen_cluster(cluster: str | None) -> str | None:
    """The cluster that was named, by its name or by its file."""
    named = named_by_file()
    if named is None:
        return cluster
    if cluster is not None and cluster.partition("/")[0] != named.cluster:
        raise InputError(
            f"two clusters are given: {cluster}, and {named.cluster} with -f",
            hint="remove one of them",
        )
    return cluster or named.cluster


def keep_cluster(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Keep the value of `-c` for a command that takes CLUSTER as an argument, too."""
    del parameter
    if value is not None:
        ctx.meta[_CLUSTER] = value
    return value


def cluster_of_argument(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """The value of a CLUSTER argument, which `-c CLUSTER` can replace."""
    del parameter
    named: str | None = ctx.meta.get(_CLUSTER)
    if value is not None and named is not None and value != named:
        raise InputError(f"two clusters are given: {value} and {named}", hint="remove one of them")
    return named if value is None else value


def matching_runs(runs: Path, name: str | None = None) -> list[RunDirectory]:
    """The runs that a name means, oldest first.

    CLUSTER means all runs of a cluster, CLUSTER/RUN-ID exactly one, None all.

    Raises InputError for a CLUSTER/RUN-ID that does not exist.
    """
    if name is not None and "/" in name:
        return [find(runs, name)]
    return sorted(every(runs, name), key=lambda run: (run.run, run.cluster))


def running(found: Iterable[RunDirectory]) -> list[RunDirectory]:
    """Those of `found` that are up. Runs on other hosts are asked about first."""
    from tenfold.cli.common import settle_run

    found = list(found)
    for run in found:
        settle_run(run)
    return [run for run in found if run.alive()]


def choose_one(
    found: list[RunDirectory], verb: str, cluster: str | None, what: str
) -> RunDirectory:
    """The only one of `found`.

    They are runs of `cluster`, or of any. `what` describes them: `runs are up`.

    Raises InputError that lists them and says how to choose one, or all with `verb`.
    """
    if len(found) == 1:
        return found[0]
    newest = found[-1]
    raise InputError(
        f"{len(found)} {what}:\n{listing(found)}",
        hint=f"choose one: tenfold {verb} {newest.cluster}/{newest.run}; "
        f"or all: tenfold {verb} {f'{cluster} ' if cluster else ''}--all",
    )


def listing(found: list[RunDirectory], most: int = 20) -> str:
    """One line for each run, oldest first: its name, state, start, tags and note."""
    from tenfold.views.runlist import line_of

    earlier = [f"  … and {len(found) - most} older"] if len(found) > most else []
    return "\n".join(earlier + [f"  {line_of(run)}" for run in found[-most:]])
