"""Errors on the terminal: each fault with its position, line and hint.

A caret marks the position in the line.
"""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from tenfold.errors import Fault, InputError, TenfoldError


def show_error(err: Console, error: TenfoldError) -> None:
    """Print an error for people."""
    if isinstance(error, InputError) and error.faults:
        show_faults(err, error.faults)
        return
    err.print(Text("tenfold: ", "bold red").append(error.message, "default"))
    if error.hint:
        err.print(Text(f"    hint: {error.hint}", "cyan"))


def show_faults(err: Console, faults: tuple[Fault, ...] | list[Fault]) -> None:
    """Print faults and warnings, each with its line and what to do."""
    for fault in faults:
        style = "yellow" if fault.severity == "warning" else "bold red"
        err.print(Text(str(fault.place or ""), "bold").append(_what(fault), "default"))
        if excerpt := fault.excerpt():
            line, caret = excerpt.splitlines()
            err.print(Text(f"    {line}", "dim"))
            err.print(Text(f"    {caret}", style))
        if fault.hint:
            err.print(Text(f"    hint: {fault.hint}", "cyan"))


def _what(fault: Fault) -> str:
    warning = "warning: " if fault.severity == "warning" else ""
    parts = (part for part in (fault.path, f"{warning}{fault.message}") if part)
    return ("" if fault.place is None else ": ") + ": ".join(parts)
