"""`tenfold why`: explain what went wrong and what to do next."""

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
    """Explain why a run failed, hangs or does not start, and what to do next.

    The first line is the summary. CLUSTER is the name of a cluster or CLUSTER/RUN-ID. The default
    is the newest run.
    """
    from tenfold.views.account import show_account
    from tenfold.views.why import account

    run = find_run(cluster, runs)
    settle_run(run)
    told = account(run)
    if as_json:
        print_json(told.to_json())
    else:
        show_account(out(), told)
