"""What a progress bar says: how far it is, how fast, and its figures.

Reads the text of bars as tqdm, Keras, rich, Lightning, pip, wget and hand-written loops show them.
Owns no state: what a bar is, among all output, `barwatch` decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_LONGEST = 1000
_LONGEST_NAME = 40
_MOST_FIGURES = 8
_ROUNDED = 0.015
"""How far a percentage may be from the fraction that it rounds."""

_PREFIXES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_NUMBER = r"\d+(?:\.\d+)?"
_FRACTION = re.compile(
    rf"(?<![\w./:,-])({_NUMBER})([kKMGT]?)i?(?:B|b|bytes)?\s?/\s?"
    rf"(?:({_NUMBER})([kKMGT]?)i?|Unknown)(?:\s?([kKMGT]?)i?(B|bytes)\b)?(?![\w./:]|\s?/)"
)
_PERCENT = re.compile(rf"(?<![\w.])({_NUMBER})\s?%")
_COUNT = re.compile(rf"(?<![\w.])({_NUMBER})([kKMGT]?)\s?([A-Za-z]\w*) \[[\d:]+, ")
"""A tqdm bar of unknown length: `123it [00:10, 12.3it/s]`."""

_RATE = re.compile(
    rf"(?<![\w.])({_NUMBER})\s?(?:([kKMGT])i?(?=[Bb]\b|it\b))?([A-Za-z]\w*)/s(?:ec)?\b"
)
_PACE = re.compile(rf"(?<![\w.])({_NUMBER})\s?(s|ms|us|µs|min|h)/([A-Za-z]\w*)")
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "min": 60.0, "h": 3600.0}
_FIGURE = re.compile(
    r"([A-Za-z_][\w./]*)\s?[=:]\s?([-+]?(?:\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|nan|inf))(?![\w:.%/])"
)
_NO_FIGURES = frozenset({"v_num", "eta", "ETA", "elapsed", "remaining", "epoch", "Epoch"})
_NAME_ENDS = " \t:|([=#>.-━╸╺╴█▉▊▋▌▍▎▏─"
_EPOCH = re.compile(r"\bepochs?\b:?\s*\[?(\d+(?:\s?/\s?\d+)?)\b(?!\s?%)", re.I)


@dataclass(frozen=True, slots=True)
class BarReading:
    """What a bar says.

    `done` and `total` are in `unit`s, `rate` is in units per second. `total` is None where the bar
    does not know it, `rate` where the bar does not tell it in its own unit.
    """

    name: str
    done: float
    total: float | None
    unit: str
    rate: float | None
    figures: dict[str, str | float] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether the bar has reached its end."""
        return self.total is not None and self.done >= self.total


def read_bar(text: str) -> BarReading | None:
    """What `text` says, if it is the text of a bar.

    No escape sequences may be in it.
    """
    text = text[:_LONGEST]
    shares = (one for one in _PERCENT.finditer(text) if float(one[1]) <= 100)
    share = next(shares, None)
    percent = float(share[1]) if share else None
    rate, unit = _rate(text)
    if (found := _fraction(text, percent)) is not None:
        done, total, own, begin = found
        unit = own or unit or "steps"
        return BarReading(_name(text[:begin]), done, total, unit, rate, _figures(text))
    if share is not None and percent is not None:
        figures = _figures(text)
        if rate is not None:
            figures |= {"speed": (_RATE.search(text) or _PACE.search(text) or [""])[0]}
        return BarReading(_name(text[: share.start()]), percent, 100.0, "%", None, figures)
    if counted := _COUNT.search(text):
        done = float(counted[1]) * _PREFIXES[counted[2]]
        return BarReading(_name(text[: counted.start()]), done, None, counted[3], rate,
                          _figures(text))  # fmt: skip
    return None


def epoch_in(text: str) -> str | None:
    """`2/5` of a line such as `Epoch 2/5`, or None."""
    found = _EPOCH.search(text[:_LONGEST])
    return found[1].replace(" ", "") if found else None


def _fraction(text: str, percent: float | None) -> tuple[float, float | None, str, int] | None:
    """Done, total, a unit and where the fraction begins.

    It is the fraction that the percentage rounds. Without a percentage the last one counts:
    `epoch 1/3, batch 20/500`.
    """
    found: tuple[float, float | None, str, int] | None = None
    for one in _FRACTION.finditer(text):
        after = _PREFIXES[one[4] or one[5] or ""]
        done = float(one[1]) * (_PREFIXES[one[2]] if one[2] else after)
        total = float(one[3]) * after if one[3] else None
        unit = "B" if one[6] else ""
        if total is None:
            found = found or (done, None, unit, one.start())
        elif not total or done > total * 1.01:
            continue
        elif percent is None:
            found = done, total, unit, one.start()
        elif abs(done / total - percent / 100) <= _ROUNDED:
            return done, total, unit, one.start()
    return found


def _rate(text: str) -> tuple[float | None, str]:
    """Units per second and the unit. None and "" if the text has no rate."""
    if found := _PACE.search(text):
        seconds = float(found[1]) * _SECONDS[found[2]]
        return (1 / seconds if seconds > 0 else None), found[3]
    if found := _RATE.search(text):
        return float(found[1]) * _PREFIXES[found[2] or ""], found[3]
    return None, ""


def _name(before: str) -> str:
    """The words before the numbers of a bar."""
    percent = _PERCENT.search(before)
    name = before[: percent.start()] if percent else before
    name = name.strip().rstrip(_NAME_ENDS)
    return name.strip()[-_LONGEST_NAME:]


def _figures(text: str) -> dict[str, str | float]:
    made: dict[str, str | float] = {}
    if (epoch := epoch_in(text)) is not None:
        made["epoch"] = epoch
    for name, value in _FIGURE.findall(text):
        if name not in _NO_FIGURES and len(made) < _MOST_FIGURES:
            made[name] = value if value.lstrip("+-") in ("nan", "inf") else _number(value)
    return made


def _number(word: str) -> float:
    return int(word) if word.lstrip("+-").isdecimal() and len(word) < 16 else float(word)
