"""`tenfold schema`: the JSON Schema of the file, for editors."""

from __future__ import annotations

import click


@click.command("schema")
@click.option("--markdown", is_flag=True, help="The reference page made of it, instead.")
def command(markdown: bool) -> None:
    """Print the JSON Schema (draft-07) of the cluster file, for editors and other tools."""
    from tenfold import schema

    click.echo(schema.markdown() if markdown else schema.schema_text(), nl=False)
