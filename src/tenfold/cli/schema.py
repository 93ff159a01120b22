"""`tenfold schema`: print the JSON Schema of the cluster file."""

from __future__ import annotations

import click


@click.command("schema")
@click.option("--markdown", is_flag=True, help="Print the reference page in Markdown instead.")
def command(markdown: bool) -> None:
    """Print the JSON Schema (draft-07) of the cluster file for editors and other tools."""
    from tenfold.cluster import schema

    click.echo(schema.markdown() if markdown else schema.schema_text(), nl=False)
