"""`tenfold why`: what went wrong, what was tried, and what to do next."""

from __future__ import annotations

import click

from tenfold.cli.common import (
    cluster_argument,
    find_run,
    json_option,
    out,
    print_json,
    runs_option,
    settle_run,
)


@click.command("why")
@cluster_argument
@runs_option
@json_option
def command(cluster: str | None, runs: str | None, as_json: bool) -> None:
    """Why a run failed, hangs, or does not get up; what was tried; what to do next.

    The first line says it all. CLUSTER is a cluster's name, or CLUSTER/RUN-ID; the newest run if
    it is not named.
    """
    from tenfold.views.account import show_account
    from tenfold.views.why import account

    run = find_run(cluster, runs)
    settle_run(run)
    told = account(run)
    if as_json:
        print_json(told)
    else:
        show_account(out(), told)
