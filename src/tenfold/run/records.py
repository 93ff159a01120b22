"""Types of the files in a run directory, and the one reader of their JSON.

The reader is tolerant.

Anybody can have written there: a killed writer, a failing disk, another version, a task. What
`parse` gives has the types that the tables below state, so that views need not ask again. A value
of another type is left out, as if it had not been written, and named.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tenfold.base.naming import name_of
from tenfold.run.states import OF_RUNS, OF_TASKS

DEEPEST = 40
"""The maximum depth of values. No writer of tenfold's nests them deeper."""

_LAST_MOMENT = 1e11
_LARGEST = 1 << 62
_LAST_PID = 1 << 22
_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?")
_LINK = re.compile(r"https?://[!-~]{1,2000}")
_TASK = re.compile(rf"{_NAME.pattern}/[0-9]{{1,9}}")


class NotAnObjectError(ValueError):
    """The text is JSON, but not an object."""


def parse(data: bytes) -> dict[str, Any]:
    """The object in `data`, which is UTF-8. Raises ValueError if it has none.

    Numbers that are not finite or too large, and characters that are none (lone surrogates), are
    replaced: nothing in it breaks arithmetic, calendars or encodings. It is not deeper than
    `DEEPEST`.
    """
    try:
        value = json.loads(data.decode("utf-8"))
        if not isinstance(value, dict):
            raise NotAnObjectError("does not contain an object")
        return {_text(key): _sound(item, 1) for key, item in value.items()}
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _sound(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is int:
        return value if -_LARGEST < value < _LARGEST else None
    if kind is float:
        return value if math.isfinite(value) else None
    if kind in (dict, list) and depth > DEEPEST:
        raise ValueError("is nested too deeply")
    if kind is dict:
        return {_text(key): _sound(item, depth + 1) for key, item in value.items()}
    return [_sound(item, depth + 1) for item in value] if kind is list else value


def _text(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub("�", text)


# What a value can be. Every value can be null, too: it is not known.


def text(value: object) -> bool:
    """Any text."""
    return isinstance(value, str)


def word(value: object) -> bool:
    """A name of a job, a cluster, a host or a run."""
    return isinstance(value, str) and bool(_NAME.fullmatch(value))


def task_name(value: object) -> bool:
    """`worker/3`."""
    return isinstance(value, str) and bool(_TASK.fullmatch(value))


def label(value: object) -> bool:
    """`worker-3`: the label of a task, as its directory is named."""
    return isinstance(value, str) and task_name(name_of(value))


def link(value: object) -> bool:
    """The URL of a page, to which a browser is sent."""
    return isinstance(value, str) and bool(_LINK.fullmatch(value))


def flag(value: object) -> bool:
    """True or false."""
    return isinstance(value, bool)


def number(value: object) -> bool:
    """Any finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def amount(value: object) -> bool:
    """A number that is not negative: bytes, seconds."""
    return number(value) and value >= 0  # type: ignore[operator]


def whole(value: object) -> bool:
    """A whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def count(value: object) -> bool:
    """A whole number that is not negative."""
    return whole(value) and value >= 0  # type: ignore[operator]


def moment(value: object) -> bool:
    """Seconds since 1970, in a year of the calendar."""
    return amount(value) and value < _LAST_MOMENT  # type: ignore[operator]


def pid(value: object) -> bool:
    """A process other than the machine's first one. Not a process group."""
    return whole(value) and 1 < value <= _LAST_PID  # type: ignore[operator]


def anything(value: object) -> bool:
    """Any value. Its reader checks it."""
    del value
    return True


def one_of(*words: str) -> Callable[[object], bool]:
    """A check that a value is one of these strings."""
    known = frozenset(words)
    return lambda value: isinstance(value, str) and value in known


class Shape:
    """The shape of a value: `fit` returns what matches and names what does not."""

    def fit(self, value: Any, where: str, wrong: list[str]) -> Any:
        """`value`, or the part of it that fits. None if nothing fits."""
        raise NotImplementedError


Form = Callable[[object], bool] | Shape


class Record(Shape):
    """An object with typed fields. Fields that are not listed are kept unchanged."""

    def __init__(self, **fields: Form) -> None:
        self.fields = {name.removesuffix("_"): form for name, form in fields.items()}

    def fit(self, value: Any, where: str, wrong: list[str]) -> Any:
        """Fields that do not fit are left out."""
        if not isinstance(value, dict):
            wrong.append(where)
            return None
        made = dict(value)
        for name, form in self.fields.items():
            item = value.get(name)
            if item is not None and (fitted := _fit(form, item, f"{where}.{name}", wrong)) is None:
                del made[name]
            elif item is not None:
                made[name] = fitted
        return made

    def with_(self, **fields: Form) -> Record:
        """The same record with more fields."""
        return Record(**self.fields, **fields)


class Items(Shape):
    """A list. Items that do not fit are left out."""

    def __init__(self, form: Form, needed: tuple[str, ...] = ()) -> None:
        """`needed`: fields without which an item is of no use."""
        self._form, self._needed = form, needed

    def fit(self, value: Any, where: str, wrong: list[str]) -> Any:
        """The items that fit."""
        if not isinstance(value, list):
            wrong.append(where)
            return None
        found = (_fit(self._form, item, f"{where}[{n}]", wrong) for n, item in enumerate(value))
        kept = [item for item in found if item is not None and self._is_of_use(item)]
        if len(kept) < len(value) and not any(name.startswith(where) for name in wrong):
            wrong.append(where)
        return kept

    def _is_of_use(self, item: Any) -> bool:
        return all(item.get(name) for name in self._needed)


class Table(Shape):
    """An object whose keys are names and whose values have one shape."""

    def __init__(self, form: Form) -> None:
        self._form = form

    def fit(self, value: Any, where: str, wrong: list[str]) -> Any:
        """The entries that fit, null entries included."""
        if not isinstance(value, dict):
            wrong.append(where)
            return None
        made = {}
        for name, item in value.items():
            fitted = None if item is None else _fit(self._form, item, f"{where}.{name}", wrong)
            if item is None or fitted is not None:
                made[name] = fitted
        return made


def _fit(form: Form, value: Any, where: str, wrong: list[str]) -> Any:
    if isinstance(form, Shape):
        return form.fit(value, where, wrong)
    if form(value):
        return value
    wrong.append(where)
    return None


TEXTS = Items(text)
TASKS = Items(task_name)

DEATH = Record(
    task=task_name, time=moment, exit_code=whole, signal=text, words=text, reason=text,
    cause=text, lines=TEXTS,
)  # fmt: skip
RESUMED = Record(
    run=text, checkpoint=text, step=number, saved=moment, ended=moment,
    retried=Table(Items(moment)), set_aside=Items(Record(file=text, as_=text)),
)  # fmt: skip
HANG = Record(words=text, task=task_name, report=text, time=moment, sign=text, action=text)

CLUSTER_STATUS = Record(
    cluster=word, run=word, cell=word, state=one_of(*OF_RUNS),
    outcome=one_of(*OF_RUNS), reason=text, started=moment, updated=moment, ended=moment,
    host=text, supervisor_pid=pid, protection=text, protection_words=text, resumed_from=RESUMED,
    hang=HANG, first_failure=DEATH, consequences=Items(DEATH, needed=("task", "words")),
)  # fmt: skip

TASK_STATUS = Record(
    task=task_name, job=word, index=count, state=one_of(*OF_TASKS), address=text, host=text,
    pid=pid, restarts=count, exit_code=whole, signal=text, reason=text, cause=text,
    retried=Items(moment), url=link, urls=Table(link), started=moment, ready=moment, ended=moment,
)  # fmt: skip

PLANNED_TASK = Record(
    task=task_name, job=word, index=count, command=TEXTS, env=Table(text), address=text,
    after=Table(text), workdir=text, network=text, ports=Table(count), publish=TEXTS, cpu=amount,
    memory=count, gpu=count,
    ready=Record(kind=text, target=text, port=text, timeout_s=amount),
    restart=Record(policy=text, limit=count, backoff_s=amount, window_s=amount, scope=text,
                   codes=Items(Items(whole))),
    service=flag, needed=flag, member=flag, preload=TEXTS, image=text, secrets=TEXTS,
)  # fmt: skip

PLAN = Record(
    version=whole, cluster=word, framework=word, cell=word, file=text, directory=text, runs=text,
    options=TEXTS, image=text, build=Record(), settings=Record(), success=TEXTS,
    stop_grace_s=amount,
    hang=Record(after_s=amount, action=text),
    notify=Record(url=text, command=TEXTS, on=TEXTS, format=text),
    expose=flag, log_limit=count, masked=TEXTS,
    tasks=Items(PLANNED_TASK, needed=("task",)),
)  # fmt: skip

LIFE = Record(
    number=count, host=text, ips=TEXTS, pid=whole, started=moment, ready=moment, ended=moment,
    exit_code=whole, signal=whole, refused=text, memory_kills=count,
)  # fmt: skip

PROGRESS = Record(
    done=number, total=number, unit=text, rate=number, time=moment,
    figures=Table(lambda value: text(value) or number(value)),
    not_finite=Table(Record(value=text, since=number, until=number)),
)  # fmt: skip

BAR = PROGRESS.with_(name=text, open=flag, standing=flag, moves=count)

REPORT = HANG.with_(
    version=whole, cluster=text, run=text, still_s=amount, after_s=amount, seconds=amount,
    suspects=Items(Record(task=task_name, because=text)),
    groups=Items(Record(tasks=TEXTS, lines=Items(anything))),
    silent=Items(Record(silent_s=amount, cut=flag)), tasks=Items(Record(task=text)),
    lines=Table(TEXTS),
)  # fmt: skip

EVENT = Record(
    time=moment, kind=text, task=task_name, run=text, reason=text, cause=text, signal=text,
    exit_code=whole, pid=pid, host=text, restarts=count, state=text, in_s=amount, attempt=count,
    limit=count, scope=text, anew=flag, because=text, timeout_s=amount, file=text, as_=text,
    path=text, lost_bytes=amount, kept=count, lost=count, message=text, hint=text, words=text,
    report=text, checkpoint=text, step=number, sign=text, action=text, about=text, to=text,
)  # fmt: skip

_OF_RUN: Mapping[str, Record] = {
    "plan.json": PLAN,
    "status.json": CLUSTER_STATUS,
    "resumed.json": RESUMED,
    "elsewhere.json": Record(cell=word, job=text, submitted=moment),
    "addresses.json": Record(),
    "annotations.json": Record(version=whole, tags=TEXTS, note=text),
    "report.json": REPORT,
    "size.json": Record(version=whole, bytes=count, mark=whole),
    "docker.json": Record(project=text),
    "kubernetes.json": Record(context=text, namespace=text, pods=Table(text)),
}
_OF_TASK: Mapping[str, Record] = {
    "status.json": TASK_STATUS,
    "progress.json": PROGRESS,
    "bar.json": BAR,
    "life.json": LIFE,
    "address.json": Record(address=text),
    "unsaved.json": Record(time=moment, words=text, place=text),
}
_ANY = Record()


def shape_of(path: Path) -> Record:
    """The shape of the file at `path`, by its name and owner."""
    of_task = path.parent.parent.name == "tasks"
    return (_OF_TASK if of_task else _OF_RUN).get(path.name, _ANY)


def typed(value: dict[str, Any], shape: Record) -> tuple[dict[str, Any], str | None]:
    """The part of `value` that fits its shape, and a description of the rest."""
    wrong: list[str] = []
    made: dict[str, Any] = shape.fit(value, "", wrong)
    if not wrong:
        return made, None
    names = ", ".join(name.lstrip(".")[:60] for name in wrong[:3])
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return made, f"has values of the wrong type: {names}{more}"
