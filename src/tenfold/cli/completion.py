"""`tenfold completion`: print the completion script for a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script. Use it as eval "$(tenfold completion bash)".

    It completes commands, options, clusters and the tasks of the newest run.
    """
    made = get_completion_class(shell)
    assert made is not None
    root = ctx.find_root().command
    click.echo(made(root, {}, "tenfold", "_TENFOLD_COMPLETE").source())
