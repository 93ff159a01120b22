"""`tenfold task`: run one task in a container or a batch step."""

from __future__ import annotations

import os

import click


@click.command("task", hidden=True)
@click.argument("name")
@click.option("--wait", is_flag=True, help="Only wait for the jobs that this task depends on.")
@click.option("--held", is_flag=True, help="Read orders from standard input.")
def command(name: str, wait: bool, held: bool) -> int:
    """Run one task of a cluster in this container or batch step.

    Used by compose files, batch scripts and manifests that tenfold generates. To start a cluster,
    run `tenfold up`.
    """
    from tenfold.launch import signals

    signals.start_afresh()
    signals.outlast()
    if held:
        from tenfold.tasks.agent import serve

        return serve(name, os.environ)
    from tenfold.tasks.container import await_others, run_task

    if wait:
        await_others(name, os.environ)
        return 0
    return run_task(name, os.environ)
