"""What is left to see of a line that was written over, as progress bars are.

A program writes over a line with a carriage return, with backspaces, or by moving the cursor up
(tqdm's nested bars, rich). Bytes in, bytes out: colours stay, and views remove the rest. Every
function takes time in proportion to its input, whatever the input is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_UP = re.compile(rb"\x1b\[(\d*)[AF]")
_TO_START = re.compile(rb"\x1b\[\d*[AFG]")
_FINISHED = re.compile(rb"\b100\s?%|(?<![\d.])(\d{1,12})/\1(?![\d.])")
_CONTROLS = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x1f\x7f]")
_SEARCHED_BYTES = 1 << 16
_LONGEST_CONTROL = 8
_MOST_UP = 99

LOOK_AHEAD = 8
"""How many lines below a line can show that it is written over."""


def may_be(text: bytes) -> bool:
    """Whether a line of `text` can have been written over. A cheap first check."""
    return b"\r" in text or b"\b" in text or _TO_START.search(text) is not None


def is_overwritten(line: bytes) -> bool:
    """Whether a part of `line` was written over.

    A carriage return at its end alone does not count.
    """
    body = line.rstrip(b"\r")
    return b"\r" in body or b"\b" in body or _TO_START.search(body) is not None


def are_hidden_by(rows_up_below: Sequence[int]) -> bool:
    """Whether one of the lines below moves the cursor up to this line or beyond it.

    `rows_up_below` has `rows_up` of the next lines, the nearest first.
    """
    return any(up >= distance for distance, up in enumerate(rows_up_below, 1))


def rows_up(line: bytes) -> int:
    """By how many rows `line` moves the cursor up."""
    if b"\x1b[" not in line:
        return 0
    return sum(min(_MOST_UP, int(found[1][:3] or 1)) for found in _UP.finditer(line))


def ends_above(line: bytes) -> bool:
    """Whether the cursor is above the line at its end: what follows writes over it."""
    begin = line.rfind(b"\x1b", max(0, len(line) - _LONGEST_CONTROL))
    return begin >= 0 and _UP.fullmatch(line, begin) is not None


def visible_span(line: bytes) -> tuple[int, int]:
    """Where the text begins and ends that was written last."""
    end = _without_returns(line)
    begin = line.rfind(b"\r", 0, end) + 1
    for found in _TO_START.finditer(line, begin, end):
        begin = found.end()
    return begin, end


def visible(line: bytes) -> bytes:
    """The text that was written last, without what backspaces removed."""
    begin, end = visible_span(line)
    text = line[begin:end]
    return _rubbed_out(text) if b"\b" in text else text


def looks_finished(line: bytes) -> bool:
    """Whether a bar has reached its end: `100%` or `58/58`."""
    begin, end = visible_span(line)
    return _FINISHED.search(line, begin, min(end, begin + _SEARCHED_BYTES)) is not None


def is_blank(text: bytes) -> bool:
    """Whether `text` shows nothing, as a bar does that was removed."""
    return not (text.strip() and _CONTROLS.sub(b"", text).strip())


def _without_returns(line: bytes) -> int:
    """The end of `line` without the moves that its last text is followed by."""
    end, least = len(line), max(0, len(line) - _SEARCHED_BYTES)
    while end > least:
        if line[end - 1] in b"\r\b":
            end -= 1
            continue
        begin = line.rfind(b"\x1b[", max(least, end - _LONGEST_CONTROL), end)
        if begin < 0 or not re.fullmatch(rb"\x1b\[\d*[AFGK]", line[begin:end]):
            break
        end = begin
    return end


def _rubbed_out(text: bytes) -> bytes:
    """`text` after its backspaces, each of which removes a character."""
    kept: list[str] = []
    for character in text.decode(errors="replace"):
        if character != "\b":
            kept.append(character)
        elif kept:
            kept.pop()
    return "".join(kept).encode(errors="replace")
