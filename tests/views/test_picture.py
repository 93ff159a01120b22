"""The map as SVG and DOT: well-formed, whole, and never a way in."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from tenfold.run.states import State
from tenfold.views.picture import dot, svg
from tenfold.views.status import TaskView
from tenfold.views.traffic import MapEdge, MapGroup, MapView

SVG = "{http://www.w3.org/2000/svg}"
EVIL = '"><script>alert(1)</script>'


def a_map(cluster: str = "word2vec") -> MapView:
    """A small map with an edge of every kind."""
    tasks = ["chief/0", "ps/0", "worker/0", "worker/1"]
    return MapView(
        cluster=cluster, run="r", state="running", seconds=12.0, time=1.0,
        tasks=tuple(TaskView(t, t[:-2], int(t[-1]), State.RUNNING) for t in tasks),
        groups=(MapGroup("chief", "ps", expected=True), MapGroup("ps", "worker", expected=True)),
        edges=(
            MapEdge("chief/0", "ps/0", 5_000_000), MapEdge("ps/0", "worker/0", 0, mark="silent"),
            MapEdge("ps/0", "worker/1"),
            MapEdge("worker/1", "outside:1.2.3.4", 9, mark="not planned"),
        ),
    )  # fmt: skip


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
    empty = replace(a_map(), tasks=(), edges=(), groups=())
    ElementTree.fromstring(svg(empty))
    assert dot(empty).startswith('graph "word2vec" {')


def test_dot_output_has_the_same_edges() -> None:
    text = dot(a_map('a"b'))
    assert text.startswith('graph "a\\"b" {')
    assert '"ps/0" -- "worker/0" [label="0 B", style=dashed];' in text
    assert '"worker/1" -- "outside:1.2.3.4" [label="9 B", color=purple];' in text
    assert text.count("subgraph") == 3


def test_names_of_peers_cannot_move_a_cursor() -> None:
    peer = MapEdge("ps/0", "outside:\x1b]0;T\x07\x08\x9b\u202e\u2066x", 5)
    shown = replace(a_map(), edges=(*a_map().edges, peer))
    ElementTree.fromstring(svg(shown))
    for text in (svg(shown), dot(shown)):
        assert not set("\x1b\x07\x08\x9b\u202e\u2066") & set(text)
