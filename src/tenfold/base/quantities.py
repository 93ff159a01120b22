"""Bytes and durations: parsed from text, and written as text for people.

The page writes them by the same rules (`dashboard/static/format.js`): a test compares the two.
Halves are rounded up, as `floor(value + 0.5)`, which Python and JavaScript compute alike.
"""

from __future__ import annotations

import math
import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,9})?(?:ms|s|m|h|d)){1,5}")
_DURATION_PART = re.compile(r"([0-9.]+)(ms|s|m|h|d)")

_BYTES = {"": 1} | {
    f"{letter}{suffix}": factor**power
    for power, letter in enumerate("KMGT", start=1)
    for suffix, factor in (("iB", 1024), ("i", 1024), ("B", 1000), ("", 1000))
}
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([KMGT]i?B?|)")

_DECIMAL_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_BINARY_UNITS = ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB"), (0, "B"))
_LONGEST_S = 1e9


def parse_duration(text: str) -> float | None:
    """Return the seconds of `10s`, `1m30s` or `500ms`; None for any other text."""
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))


def parse_bytes(text: str) -> int | None:
    """The bytes in a text such as `2GiB`, `512MiB`, `2Gi`, `1.5GB` or `2048`.

    None for any other text.
    """
    match = _SIZE.fullmatch(text)
    return int(float(match[1]) * _BYTES[match[2]]) if match else None


def duration_text(seconds: float) -> str:
    """Write a measured time: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`."""
    if seconds < 10:
        return f"{_tenths(max(0.0, seconds))} s"
    whole = int(min(seconds, _LONGEST_S))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def limit_text(seconds: float) -> str:
    """A duration that was set, without rounding: `0.25 s`, `1 min 30 s`, `2 h`."""
    parts = []
    rest = min(seconds, _LONGEST_S)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:.0f} {unit}")
    if rest or not parts:
        parts.append(f"{rest:g} s")
    return " ".join(parts)


def bytes_text(count: float) -> str:
    """Write an amount of data: `812 B`, `1.2 MB`, `34 MB`, `512 GB`."""
    value, unit = float(abs(count)), 0
    while value >= 999.5 and unit < len(_DECIMAL_UNITS) - 1:
        value /= 1000
        unit += 1
    whole = unit == 0 or value >= 9.95
    shown = f"{math.floor(value + 0.5)}" if whole else _tenths(value)
    return f"{'−' if count < 0 else ''}{shown} {_DECIMAL_UNITS[unit]}"


def memory_text(count: float) -> str:
    """Write an amount of memory or disk: `0 B`, `512 MiB`, `23.5 GiB`."""
    power, unit = next((row for row in _BINARY_UNITS if count >= 1 << row[0]), (0, "B"))
    return f"{count / (1 << power):.{1 if power >= 30 else 0}f} {unit}"


def memory_value(count: int) -> str:
    """Write bytes as they stand in a cluster file: `512MiB`, `1.5GiB`, `1000000B`."""
    for power, unit in _BINARY_UNITS[:3]:
        if count >= 1 << power and (count * 100) % (1 << power) == 0:
            return f"{count / (1 << power):g}{unit}"
    return f"{count / (1 << 20):.1f}MiB" if count >= 1 << 20 else f"{count}B"


def _tenths(value: float) -> str:
    return f"{math.floor(value * 10 + 0.5) / 10:.1f}"
