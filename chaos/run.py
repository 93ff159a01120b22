"""Do harm to real clusters, one fault after the other, and check what tenfold makes of it.

    python -m chaos.run [--quick] [--seed N] [--json FILE] [--page FILE] [CASE …]

The seed decides victims and moments; moments are counted in progress, not in seconds, where a task
tells its progress. The long form puts what it measured into docs/reliability.md. Exit code 0 if
every check held, 1 if one did not, 130 if interrupted. Nothing is left of a case when it is over,
also after Ctrl-C; the files of one that failed are kept, in .tenfold/chaos-failed.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from chaos import ROOT, report
from chaos.cases import CASES
from chaos.trial import Case, Row, attempt
from measure import write

LIMIT_S = 90 * 60.0
QUICK_LIMIT_S = 10 * 60.0
"""How long all of it may take. Cases that have not begun by then have failed."""


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m chaos.run",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    names = ", ".join(case.name for case in CASES)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of: {names}")
    parser.add_argument("--quick", action="store_true", help="the short form")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page there")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        default=ROOT / ".tenfold" / "chaos-failed",
        help="where the files of a case that failed go",
    )
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    return parser


def chosen(names: Sequence[str], cases: Sequence[Case] = CASES) -> list[Case]:
    """The cases with these names; all of them for none. Raises KeyError with one unknown."""
    known = {case.name: case for case in cases}
    return [known[name] for name in names] if names else list(cases)


def main(words: Sequence[str] | None = None, cases: Sequence[Case] = CASES) -> int:
    """Try the cases, print the table, write JSON and page; the exit code."""
    options = arguments().parse_args(words)
    if options.list:
        for case in cases:
            print(f"{case.name:24} {case.fault}")
        return 0
    try:
        wanted = chosen(options.cases, cases)
    except KeyError as error:
        print(f"chaos: no case {error.args[0]}; --list names them", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    rows, interrupted = _all(wanted, options)
    _show(rows, options.seed)
    if options.json:
        write(rows, options.json)
    page = options.page or (None if options.quick else report.PAGE)
    if page:
        report.write(rows, [case.name for case in CASES], page)
    return 130 if interrupted else int(any(row["ok"] is False for row in rows))


def _all(wanted: Sequence[Case], options: argparse.Namespace) -> tuple[list[Row], bool]:
    """One after the other; and whether that was interrupted."""
    whole = QUICK_LIMIT_S if options.quick else LIMIT_S
    print(f"seed {options.seed}; at most {whole / 60:.0f} minutes", file=sys.stderr)
    deadline = time.monotonic() + whole
    rows: list[Row] = []
    for case in wanted:
        try:
            left_s = deadline - time.monotonic()
            made = attempt(
                case, options.seed, quick=options.quick, limit_s=left_s, keep=options.keep
            )
            rows.append(made)
        except KeyboardInterrupt:
            print("interrupted; what there is so far:", file=sys.stderr)
            return rows, True
    return rows, False


def _show(rows: Sequence[Row], seed: int) -> None:
    drawn = Table("case", "check", "result", "", title=f"seed {seed}", title_justify="left")
    for row in rows:
        name = row["case"]
        for one in row["checks"]:
            drawn.add_row(name, one["asked"], one["measured"], "held" if one["ok"] else "FAILED")
            name = ""
        if row["error"]:
            drawn.add_row(name, "goes through", row["error"], "FAILED")
        if row["left_out"]:
            drawn.add_row(name, "", row["left_out"], "left out")
    Console(width=None if sys.stdout.isatty() else 160).print(drawn)
    failed = [row["case"] for row in rows if row["ok"] is False]
    good = "every check held" if rows else "no case was tried to its end"
    print(f"failed: {', '.join(failed)}" if failed else good)


if __name__ == "__main__":
    sys.exit(main())
