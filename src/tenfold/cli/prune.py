"""`tenfold prune`: remove old runs that nothing needs."""

from __future__ import annotations

import click

from tenfold.base.quantities import parse_bytes
from tenfold.cli.common import (
    cluster_argument,
    complete_tag,
    json_option,
    runs_option,
    seconds,
)
from tenfold.cli.selection import chosen_cluster, runs_directory
from tenfold.errors import InputError, shown
from tenfold.retention.limits import KeepLimits
from tenfold.retention.selection import by_limit


@click.command("prune")
@cluster_argument
@click.option("--keep", type=click.IntRange(0), metavar="N", help="Keep the N newest runs of each "
              "cluster.")  # fmt: skip
@click.option("--older-than", metavar="TIME", help="Remove only runs that ended before: 12h, 30d.")
@click.option(
    "--max-size", metavar="SIZE", help="Remove the oldest runs until all fit into SIZE: 20GB."
)
@click.option(
    "--keep-tag",
    "tags",
    multiple=True,
    metavar="TAG",
    shell_complete=complete_tag,
    help="Keep runs with this tag. Can be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@runs_option
@json_option
def command(
    cluster: str | None,
    keep: int | None,
    older_than: str | None,
    max_size: str | None,
    tags: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    runs: str | None,
    as_json: bool,
) -> int:
    """Remove old runs of CLUSTER, or of all clusters, that nothing needs.

    At least one of --keep, --older-than and --max-size is required. With several, a run is
    removed only if all of them allow it. Never removed: a run that is up, the run with the newest
    complete checkpoint of its cluster, a run that another one resumed and still needs, and a run
    of another user.
    """
    from tenfold.cli.removing import remove

    limits = _limits(keep, older_than, max_size)
    place, cluster = runs_directory(runs), chosen_cluster(cluster)
    if cluster is not None and "/" in cluster:
        raise InputError("prune takes a cluster", hint=f"remove one run: tenfold rm {cluster}")

    chosen = by_limit(place, cluster, limits, tags)
    return remove(place, chosen, dry_run=dry_run, yes=yes, as_json=as_json)


def _limits(keep: int | None, older_than: str | None, max_size: str | None) -> KeepLimits:
    if keep is None and older_than is None and max_size is None:
        raise InputError(
            "no limit is given",
            hint="tenfold prune --keep 5, --older-than 30d or --max-size 20GB; add --dry-run"
            " to only look",
        )
    age_s = None if older_than is None else seconds(older_than, "--older-than", "write 12h or 30d")
    total = None if max_size is None else parse_bytes(max_size)
    if max_size is not None and total is None:
        raise InputError(f"invalid value for --max-size: {shown(max_size)}", hint="write 20GB")
    return KeepLimits(keep, age_s, total)
