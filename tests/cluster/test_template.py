"""The grammar of `${…}`."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.cluster.template import (
    Reference,
    TemplateError,
    fill,
    fill_some,
    joined,
    parse,
    written,
)

PARTS = st.lists(
    st.text(alphabet="$ {}ab", max_size=6)
    | st.sampled_from([Reference("a"), Reference("task.index"), Reference("env.B", "c d")]),
    max_size=6,
)


@settings(deadline=None)
@given(PARTS)
def test_whatever_is_written_is_read_back(parts: list[str | Reference]) -> None:
    back = parse(written(parts))
    plain = tuple(p if isinstance(p, str) else Reference(p.name, p.default) for p in back)
    assert plain == joined(parts)


@settings(deadline=None)
@given(st.text(alphabet="$ {}ab:-", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parts = parse(text)
    except TemplateError as error:
        refused = error
    else:
        assert [type(part) for part in parse(written(parts))] == [type(part) for part in parts]
        return
    assert 0 <= refused.offset <= len(text)
    assert refused.hint


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("$5 {a} $", ("$5 {a} $",)),
        ("$${a}", ("${a}",)),
        ("$$${a}", ("$", "a")),
        ("x${a}y", ("x", "a", "y")),
        ("${env.A:-b ${}", ("env.A",)),
    ],
)
def test_a_template_is_split_into_text_and_names(text: str, parts: tuple[str, ...]) -> None:
    assert tuple(p if isinstance(p, str) else p.name for p in parse(text)) == parts


@pytest.mark.parametrize("text", ["${", "${}", "${a b}", "${a.}", "a ${1}", "${a:b}"])
def test_an_invalid_reference_is_an_error(text: str) -> None:
    with pytest.raises(TemplateError):
        parse(text)


def test_filling_replaces_names_that_have_values() -> None:
    values = {"a": "1", "b": "${c}"}
    assert fill("${a} $${a} ${b} ${z}", values.get) == "1 ${a} ${c} ${z}"
    assert fill_some("${a} $${a} ${b} ${z}", values.get) == "1 $${a} $${c} ${z}"
