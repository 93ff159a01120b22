"""The command line. Each command has one file, loaded when it is used.

    app.py       the table of commands; errors printed, exit codes made
    common.py    what several commands share
    selection.py which cluster, which file and which runs the user means

Owns the way in, which imports nothing that Ctrl-C could find half imported.
"""

import os
import sys

from tenfold.base.interpreter import settle


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code.

    For a process that does nothing else.
    """
    settle()
    from tenfold.base import streams

    streams.install()
    code = run(list(sys.argv[1:] if arguments is None else arguments))
    if sys.flags.inspect:  # PYTHONINSPECT makes Python's own exit code 1, whatever it should be
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run the command line and return the exit code: 0, 1, 2, 3 or 130.

    See design.md for their meaning.
    """
    try:
        from tenfold.cli import app

        return app.run(arguments)
    except KeyboardInterrupt:
        return 130
