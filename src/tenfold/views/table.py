"""Tables of many short rows, with columns of minimal width and no borders.

Rich lays out a thousand rows in most of a second; this takes milliseconds, and `ps` has to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tenfold.errors import columns, printable
from tenfold.views.terminal import Terminal

Cell = str | tuple[str, str]
"""A text, or a text and its style."""

_GAP = "  "


def show_table(out: Terminal, titles: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print `rows` under `titles`.

    On a terminal the last column is cut to what is left of the width.
    """
    rows = [[_clean(cell) for cell in row] for row in rows]
    heading = [(title, "dim") for title in titles]
    widths = [
        max(_width(_text(row[place])) for row in (heading, *rows)) for place in range(len(titles))
    ]
    out.write("".join(f"{line}\n" for line in _lines(out, [heading, *rows], widths)))


def _lines(out: Terminal, rows: Sequence[Sequence[Cell]], widths: Sequence[int]) -> Iterator[str]:
    left = max(20, out.width - sum(widths[:-1]) - len(_GAP) * (len(widths) - 1))
    for row in rows:
        parts = [_padded(out, cell, width) for cell, width in zip(row, widths[:-1], strict=False)]
        parts.append(out.paint(_cut(_text(row[-1]), left), _style(row[-1])))
        yield _GAP.join(parts).rstrip()


def _padded(out: Terminal, cell: Cell, width: int) -> str:
    text = _text(cell)
    return out.paint(text, _style(cell)) + " " * (width - _width(text))


def _clean(cell: Cell) -> Cell:
    return printable(cell) if isinstance(cell, str) else (printable(cell[0]), cell[1])


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _style(cell: Cell) -> str:
    return "" if isinstance(cell, str) else cell[1]


def _width(text: str) -> int:
    return len(text) if text.isascii() else columns(text)


def _cut(text: str, width: int) -> str:
    return text if _width(text) <= width else text[: width - 1] + "…"
