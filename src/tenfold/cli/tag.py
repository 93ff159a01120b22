"""`tenfold tag`: add tags to a run, remove them, or list them."""

from __future__ import annotations

import click

from tenfold.cli.common import (
    complete_tag,
    err,
    find_run,
    json_option,
    out,
    print_json,
    run_argument,
    runs_option,
)
from tenfold.run.annotations import Annotations, change, checked_tags


@click.command("tag")
@run_argument
@click.argument("tags", nargs=-1)
@click.option(
    "-d",
    "--delete",
    "deleted",
    multiple=True,
    metavar="TAG",
    shell_complete=complete_tag,
    help="Remove this tag. Can be repeated.",
)
@runs_option
@json_option
def command(
    run: str, tags: tuple[str, ...], deleted: tuple[str, ...], runs: str | None, as_json: bool
) -> None:
    """Add TAGS to a run: tenfold tag word2vec baseline lr=0.1

    Without TAGS, print the tags of the run. List the runs with a tag with `tenfold ps -a --tag
    TAG`. CLUSTER alone means its newest run.
    """
    found, new = find_run(run, runs), checked_tags(tags)
    if new or deleted:

        def changed(now: Annotations) -> Annotations:
            kept = [tag for tag in (*now.tags, *new) if tag not in deleted]
            return Annotations(tags=tuple(dict.fromkeys(kept)), note=now.note)

        now = change(found, changed)
    else:
        now = Annotations.read_of(found)
    if as_json:
        print_json({"version": 1, "cluster": found.cluster, "run": found.run, **now.shown()})
        return
    if new or deleted:
        err().print(f"{found.cluster} {found.run}: {', '.join(now.tags) or 'no tags'}")
    else:
        for tag in now.tags:
            out().print(tag)
