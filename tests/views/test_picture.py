"""The map as SVG and DOT: well-formed, whole, and never a way in."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from tenfold.views.picture import dot, svg

SVG = "{http://www.w3.org/2000/svg}"
EVIL = '"><script>alert(1)</script>'


def edge(one: str, other: str, carried: int | None, mark: str = "as planned") -> dict[str, Any]:
    """One edge of a map."""
    return {"from": one, "to": other, "bytes": carried, "mark": mark}


def a_map(cluster: str = "word2vec") -> dict[str, Any]:
    """A small map with an edge of every kind."""
    tasks = ["chief/0", "ps/0", "worker/0", "worker/1"]
    return {
        "cluster": cluster, "run": "r", "seconds": 12.0,
        "tasks": [
            {"task": t, "job": t[:-2], "index": int(t[-1]), "state": "running"} for t in tasks
        ],
        "groups": [{"from": "chief", "to": "ps", "expected": True},
                   {"from": "ps", "to": "worker", "expected": True}],
        "edges": [edge("chief/0", "ps/0", 5_000_000), edge("ps/0", "worker/0", 0, "silent"),
                  edge("ps/0", "worker/1", None),
                  edge("worker/1", "outside:1.2.3.4", 9, "not planned")],
    }  # fmt: skip


def test_svg_shows_every_task_and_edge() -> None:
    root = ElementTree.fromstring(svg(a_map()))
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert "chief/0 – ps/0: 5.0 MB, as planned" in titles
    assert "worker/1 – outside:1.2.3.4: 9 B, not planned" in titles
    classes = [path.get("class") for path in root.iter(f"{SVG}path")]
    assert sorted(map(str, classes)) == ["as", "as", "not", "silent"]
    assert {t.removesuffix(" running") for t in titles if "running" in t} == {
        "chief/0", "ps/0", "worker/0", "worker/1",
    }  # fmt: skip
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "worker ×2" in texts
    assert "1.2.3.4" in texts


def test_names_cannot_be_markup() -> None:
    text = svg(a_map(EVIL))
    ElementTree.fromstring(text)
    assert "<script" not in text


def test_an_empty_map_is_a_picture_too() -> None:
    empty = a_map() | {"tasks": [], "edges": [], "groups": []}
    ElementTree.fromstring(svg(empty))
    assert dot(empty).startswith('graph "word2vec" {')


def test_dot_output_has_the_same_edges() -> None:
    text = dot(a_map('a"b'))
    assert text.startswith('graph "a\\"b" {')
    assert '"ps/0" -- "worker/0" [label="0 B", style=dashed];' in text
    assert '"worker/1" -- "outside:1.2.3.4" [label="9 B", color=purple];' in text
    assert text.count("subgraph") == 3


def test_names_of_peers_cannot_move_a_cursor() -> None:
    shown = a_map()
    shown["edges"].append(edge("ps/0", "outside:\x1b]0;T\x07\x08\x9b\u202e\u2066x", 5))
    ElementTree.fromstring(svg(shown))
    for text in (svg(shown), dot(shown)):
        assert not set("\x1b\x07\x08\x9b\u202e\u2066") & set(text)
