"""The rate of a progress, and which of its figures are not finite, since when."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from numbers import Number
from typing import Any

from tenfold.run.progress import OddSteps

_RATE_S = 10.0


class Pace:
    """The rate of this process's progress, over the last `_RATE_S` seconds or so."""

    def __init__(self) -> None:
        self.written = 0.0
        self._marks: list[tuple[float, float]] = []

    def rate(self, now: float, done: float) -> float | None:
        """Units per second, or None until two values are known.

        Starts anew when `done` decreases.
        """
        if self._marks and done < self._marks[-1][1]:
            self._marks.clear()
        self._marks.append((now, done))
        while len(self._marks) > 2 and self._marks[1][0] < now - _RATE_S:
            del self._marks[0]
        since, from_ = self._marks[0]
        return (done - from_) / (now - since) if now > since else None


class OddFigures:
    """Which of this process's figures are not finite, and since which step."""

    def __init__(self) -> None:
        self.found: dict[str, OddSteps] = {}
        self._later: deque[tuple[float, str, object]] = deque(maxlen=_MOST_LATER)

    def note(self, done: float, figures: Mapping[str, object], *, cheaply: bool) -> bool:
        """Record the figures after step `done`. Returns whether that is new.

        With `cheaply`, arrays are kept for the next call without it: reading the value of an array
        on a device waits for the device, and by then the device has computed it.
        """
        news = False
        for name, value in figures.items():
            if isinstance(value, (str, Number)) or type(value).__module__ == "numpy":
                news |= self._look(done, name, value)
            else:
                self._later.append((done, name, _kept(value)))
        while self._later and not cheaply:
            news |= self._look(*self._later.popleft())
        return news

    def _look(self, done: float, name: str, value: object) -> bool:
        word = _odd_word(value)
        known = self.found.get(name)
        if word is not None and (known is None or known.until is not None):
            self.found[name] = OddSteps(word, since=step_of(done))
            return True
        if word is None and known is not None and known.until is None:
            self.found[name] = replace(known, until=step_of(done))
            return True
        return False


_MOST_LATER = 512
"""The maximum number of arrays whose values are read later.

If there are more in 0.2 s, only the newest are read.
"""


def _kept(value: Any) -> object:
    """The value as it is now.

    A PyTorch tensor is kept without its graph, which would stay in memory.
    """
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach()
    return tensor.clone() if tensor.numel() == 1 else tensor


_ODD_WORDS = frozenset({"nan", "inf", "infinity"})


def _odd_word(value: object) -> str | None:
    """`nan`, `inf` or `-inf` for a number that is not finite, otherwise None."""
    word = str(plain_figure(value)).strip().lower()
    return word if word.lstrip("+-") in _ODD_WORDS else None


def step_of(value: object) -> float | None:
    number = plain_figure(value)
    return None if isinstance(number, str) else number


def plain_figure(value: object) -> str | float:
    """A figure as JSON can express it.

    An array of one number is a number, and NaN is a string.
    """
    if isinstance(value, (str, int)):
        return value
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value)
    return number if math.isfinite(number) else str(number)
