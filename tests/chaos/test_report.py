"""The page: what stands between its marks, and what stays when a case was not tried."""

from __future__ import annotations

import pytest

from chaos import report
from chaos.cases import CASES
from chaos.trial import Case, Row, Trial, attempt

NAMES = [case.name for case in CASES]


def row(name: str, value: int = 0, why: str | None = None) -> Row:
    """A case that asked for 0."""

    def run(trial: Trial) -> None:
        trial.why = why
        trial.equal("some | thing", value, 0)
        trial.note("Not everything was tried")

    return attempt(Case(name, "a fault", run, 10), 5, quick=False)


def test_the_page_has_a_section_for_every_case() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    for name in ("summary", "machine", *NAMES):
        assert page.count(f"<!-- {name} -->\n") == 1, name
    for name in NAMES:
        assert f"\n### {name}\n" in page
    untouched = report.filled(page, {}, NAMES)
    assert report.filled(untouched, {}, NAMES) == untouched


def test_a_case_is_filled_in_and_the_others_stay_as_they_were() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    first, second = NAMES[:2]
    once = report.filled(page, {first: row(first, why="it died: do that")}, NAMES)
    assert "| some \\| thing | 0 | held |" in once
    assert "| a fault | 2 of 2 held | `it died: do that` |" in once
    assert "seed 5" in once
    assert "Not everything was tried." in once
    twice = report.filled(once, {second: row(second, 1)}, NAMES)
    assert "| some \\| thing | 1, not 0 | **failed** |" in twice
    assert "**failed**: 1 of 2 held" in twice
    assert "`it died: do that`" in twice
    lines = [line for line in twice.splitlines() if line.startswith("| [")]
    assert [line.split("]")[0][3:] for line in lines][:2] == [first, second]


def test_an_omitted_case_gives_the_reason() -> None:
    case = Case(NAMES[0], "a fault", lambda _: None, 10, needs=lambda: "it needs a moon")
    told = attempt(case, 1, quick=False)
    assert "Not tried on this machine: it needs a moon." in report.case(told)
    made = report.summary({case.name: told}, NAMES, "")
    assert "not tried here" in made


def test_a_mark_without_content_is_an_error() -> None:
    with pytest.raises(KeyError, match="nonsense"):
        report.filled("<!-- nonsense -->\n<!-- end -->", {}, NAMES)
