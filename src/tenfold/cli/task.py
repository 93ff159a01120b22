"""`tenfold task`: the task runner, what a container or a batch step starts."""

from __future__ import annotations

import os

import click


@click.command("task", hidden=True)
@click.argument("name")
@click.option("--wait", is_flag=True, help="Only wait for the jobs it comes after.")
@click.option("--held", is_flag=True, help="Take orders on standard input.")
def command(name: str, wait: bool, held: bool) -> int:
    """Run one task of a cluster here, in the place where a cell has put it.

    For compose files, batch scripts and manifests that tenfold made; people type `tenfold up`.
    """
    from tenfold.launch import signals

    signals.start_afresh()
    signals.outlast()
    if held:
        from tenfold.launch.agent import serve

        return serve(name, os.environ)
    from tenfold.launch.container import await_others, run_task

    if wait:
        await_others(name, os.environ)
        return 0
    return run_task(name, os.environ)
