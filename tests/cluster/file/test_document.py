"""YAML bytes → values with places."""

from __future__ import annotations

import pytest

from tenfold.cluster.file.document import MappingNode, Scalar, SequenceNode, compose, resolve
from tenfold.errors import SourcePosition


def table(text: str) -> MappingNode:
    document = compose(text, "f")
    assert isinstance(document.root, MappingNode), document.faults
    return document.root


def scalar(text: str, key: str = "a") -> Scalar:
    node = table(text).entries[key].node
    assert isinstance(node, Scalar)
    return node


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("-8", -8),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        *(
            (text, text)
            for text in ("no", "on", "yes", "y", "0777", "22:22", "1_000", "=", "2001-01-01")
        ),
        *((text, text) for text in ("0b1", "1.2.3", "1e", "9" * 301, "tRue", "+", "-", ".")),
    ],
)
def test_plain_scalars_by_the_rules_of_yaml_1_2(text: str, value: object) -> None:
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


def test_quoted_scalars_are_text() -> None:
    assert scalar("a: '8'").value == "8"
    assert scalar('a: "true"').value == "true"
    assert scalar("a: |\n  8\n").value == "8\n"


def test_yaml_tags_are_applied_or_rejected() -> None:
    assert scalar("a: !!str 8").value == "8"
    assert scalar('a: !!int "8"').value == 8
    assert compose("a: !!int x", "f").faults[0].message == '"x" does not match its tag !!int'
    assert compose("a: !!set {b}", "f").faults[0].message == 'unknown tag "!!set"'


def test_keys_and_values_have_positions() -> None:
    root = table("a:\n  b: [1, {c: 'two'}]\r\nd: 3")
    a = root.entries["a"].node
    assert isinstance(a, MappingNode)
    assert a.entries["b"].key == SourcePosition("f", 2, 3)
    b = a.entries["b"].node
    assert isinstance(b, SequenceNode)
    assert isinstance(b.items[1], MappingNode)
    c = b.items[1].entries["c"].node
    assert isinstance(c, Scalar)
    assert c.place == SourcePosition("f", 2, 14)
    assert c.at(1) == SourcePosition("f", 2, 16)  # after the quote
    assert root.entries["d"].key == SourcePosition("f", 3, 1)


def test_a_position_inside_a_multiline_text_is_its_start() -> None:
    node = scalar('a: "b\\n c"')
    assert node.at(3) == node.place


def test_merge_keys_do_not_win() -> None:
    root = table("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {a: 0, <<: [*x, *y]}\n")
    merged = root.entries["z"].node
    assert isinstance(merged, MappingNode)
    texts = {key: entry.node.text for key, entry in merged.entries.items()}  # type: ignore[union-attr]
    assert texts == {"a": "0", "b": "2", "c": "4"}


def test_all_faults_of_the_structure_at_once() -> None:
    faults = compose("a: 1\na: 2\nb: *c\nd: !e f\n? [g]\n: h\n", "f").faults
    assert [(fault.place.line, fault.place.column) for fault in faults if fault.place] == [
        *((2, 1), (3, 4)),
        *((4, 4), (5, 3)),
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a: {n: ${n}}", 'inside […] and {…} write "${…}" in quotes'),
        ("a: 'b", "close the quote"),
        ("\ta: b", "indent with spaces, not tabs; quote text that begins with @, ` or %"),
        ("a: b: c", 'quote text that contains ": "'),
    ],
)
def test_hints_of_syntax_errors(text: str, hint: str) -> None:
    assert compose(text, "f").faults[-1].hint == hint
