"""The JSON of the views has the fields that the documentation lists, and no others."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tenfold.run.statusfiles import (
    DeathStatus,
    FirstFailureStatus,
    HangStatus,
    OddFigure,
    ResumedFrom,
)
from tenfold.views.causes import CauseLine
from tenfold.views.crashes import Crash
from tenfold.views.facts import Disk
from tenfold.views.report import FirstFailure, RunReport, TaskRetries
from tenfold.views.status import RunView, TaskView
from tenfold.views.traffic import MapEdge, MapView
from tenfold.views.troubles import Trouble

DOCS = Path(__file__).parents[2] / "docs"

DEATH = DeathStatus("worker/0", 1.0, 1, None, "exited with code 1")
RUN = RunView("c", "r", Path("c/r"))
FIRST = FirstFailure("worker/0", 1.0, 1, None, "exited", None, None, None, None, None, None, ())
REPORT = RunReport(
    RUN, wrong=True, headline="c failed", hint=None, next=(), first_failure=FIRST, retries=(),
    resumed_from=None, troubles=(), checkpoint=None, checkpoint_age_s=0.0, disk=None, hangs=(),
    damaged={},
)  # fmt: skip

SHAPES: list[tuple[str, str, Any]] = [
    ("json.md", "`ps --json`, and the final output of `up --json`", RUN.to_json()),
    ("json.md", "`T` =", TaskView("worker/0", "worker", 0).to_json()),
    ("json.md", "`not_finite`:", OddFigure("worker/0", "loss", "nan", 1).to_json()),
    ("json.md", "`first_failure` is", FirstFailureStatus(DEATH).to_json()),
    ("json.md", "`resumed_from` is", ResumedFrom().to_json()),
    ("json.md", "`hang` is", HangStatus().to_json()),
    ("json.md", "| `map --json`", MapView("c", "r", None, 1.0, 1.0).to_json()),
    ("json.md", "edges:", MapEdge("ps/0", "worker/0").to_json()),
    ("json.md", "| `why --json`", REPORT.to_json()),
    ("why.md", "`first_failure`: null, or", FIRST.to_json()),
    ("why.md", "in native code:", Crash(None, False, "x", "1", "f", False).to_json()),
    ("why.md", "`error` is", CauseLine("x").to_json()),
    ("why.md", "`retries`:", TaskRetries("worker/0", 0, None).to_json()),
    ("why.md", "`troubles`:", {field.name: None for field in fields(Trouble)}),
    ("why.md", "`disk`:", {field.name: None for field in fields(Disk)}),
]


def names_after(text: str, begin: str) -> list[str]:
    """The fields at the top of the first `{…}` after `begin`."""
    rest = text[text.index(begin) + len(begin) :]
    rest = rest[rest.index("{") + 1 :]
    depth, top = 1, ""
    for letter in rest:
        depth += (letter in "{[") - (letter in "}]")
        if depth == 0:
            break
        top += letter if depth == 1 else ""
    return re.findall(r"\w+", top.replace(": T", ""))


@pytest.mark.parametrize(("page", "begin", "made"), SHAPES, ids=[shape[1] for shape in SHAPES])
def test_the_json_has_the_documented_fields(page: str, begin: str, made: dict[str, Any]) -> None:
    documented = names_after((DOCS / page).read_text(), begin)
    assert list(made) == documented
