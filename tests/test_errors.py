"""Places, faults and how values are quoted."""

from __future__ import annotations

import pytest

from tenfold.errors import (
    Fault,
    InputError,
    SourcePosition,
    TenfoldError,
    UnavailableError,
    path_text,
    printable,
    shown,
)


def test_a_fault_as_text() -> None:
    fault = Fault(
        SourcePosition("tenfold.yaml", 7, 12), "jobs.worker.tasks", 'expected 1, got "two"'
    )
    assert str(fault) == 'tenfold.yaml:7:12: jobs.worker.tasks: expected 1, got "two"'
    assert str(Fault(SourcePosition("--set a=b"), "a", "no")) == "--set a=b: a: no"
    assert str(Fault(None, "", "no")) == "no"


@pytest.mark.parametrize(
    ("line", "column", "excerpt"),
    [
        ("tasks: two", 8, "tasks: two\n       ^"),
        ("\ttasks: two", 9, "    tasks: two\n           ^"),
        ("日本: two", 5, "日本: two\n      ^"),
        ("a\x1b[2J: b", 7, "a␛[2J: b\n      ^"),
        ("ab", 3, "ab\n  ^"),
    ],
)
def test_excerpts_point_at_the_column(line: str, column: int, excerpt: str) -> None:
    assert Fault(SourcePosition("f", 1, column), "", "", source_line=line).excerpt() == excerpt


def test_excerpts_of_long_lines_are_cut() -> None:
    fault = Fault(SourcePosition("f", 1, 501), "", "", source_line="x" * 500 + "HERE" + "y" * 500)
    line, caret = (fault.excerpt() or "").split("\n")
    assert len(line) == 100
    assert line[len(caret) - 1 :].startswith("HERE")


def test_there_is_no_excerpt_without_a_position_or_line() -> None:
    assert Fault(None, "", "", source_line="x").excerpt() is None
    assert Fault(SourcePosition("f", 1, 1), "", "").excerpt() is None
    assert Fault(SourcePosition("--set"), "", "", source_line="x").excerpt() is None


def test_a_fault_is_converted_to_json() -> None:
    data = Fault(SourcePosition("--set a=b"), "a", "no", "yes").to_json()
    assert data["file"] == "--set a=b"
    assert data["line"] is None
    assert data["severity"] == "fault"


def test_each_error_class_has_its_exit_code() -> None:
    assert [kind.exit_code for kind in (TenfoldError, InputError, UnavailableError)] == [1, 2, 3]


def test_an_input_error_lists_all_its_faults() -> None:
    faults = [
        Fault(SourcePosition("f", 1, 1), "a", "one", "do"),
        Fault(SourcePosition("f", 2, 1), "b", "two"),
    ]
    error = InputError(faults=faults)
    assert error.message == "2 faults in f"
    assert str(error) == "f:1:1: a: one\n    hint: do\nf:2:1: b: two"


def test_values_are_never_long_and_never_obeyed() -> None:
    assert shown("x" * 500) == f'"{"x" * 79}…"'
    assert shown(10**400) == "a number with too many digits"
    assert shown(True) == "true"
    assert shown({"a": 1}) == "a mapping"
    assert printable("a\x1b\u202eb") == "a␛�b"


def test_a_path_is_written_with_dots_and_brackets() -> None:
    assert path_text(("jobs", "worker", "after", 0)) == "jobs.worker.after[0]"
    assert path_text(("jobs", "../x")) == 'jobs."../x"'
