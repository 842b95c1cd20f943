"""Pictures as SVG: valid, complete, without overlaps, and the same every time."""

from __future__ import annotations

import time
from itertools import combinations
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow_kernel.drawing import Edge, Group, Picture, Shape, to_mermaid, to_svg
from agentflow_kernel.flow import Branch, Graph, Parallel, Step
from agentflow_kernel.flow.outline import outline_of
from agentflow_kernel.flow.picture import picture_of

if TYPE_CHECKING:
    from collections.abc import Iterable

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</text><script>alert(1)</script>",
    "a\"b'c",
    "]]>",
    "&amp;",
    "<!--",
    "\x00\x1b\x85",
    "\ud800",
    "\ufffe",
    "日本語",
    "",
]


def same(value: object) -> object:
    """The node of every graph here."""
    return value


def picture_with(names: Iterable[str], edges: Iterable[tuple[str, str]], title: str = "p") -> Picture:
    """A picture without groups."""
    picture = Picture(title)
    for name in names:
        picture.add(Shape(name, name))
    picture.edges.extend(Edge(source, target) for source, target in edges)
    return picture


def boxes_of(root: Any) -> dict[str, tuple[str, float, float, float, float]]:
    """Kind, left, top, right and bottom of each node and group."""
    found = {}
    for part in root.iter(f"{SVG}g"):
        if "data-id" in part.attrib:
            rect = part.findall(f"{SVG}rect")[-1]
            left, top, width, height = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
            found[part.get("data-id")] = (part.get("class").split()[0], left, top, left + width, top + height)
    return found


def check(picture: Picture) -> Any:
    """Everything that holds for every picture; returns the parsed document."""
    text = to_svg(picture)
    assert text == to_svg(picture)
    root = ET.fromstring(text)
    boxes = boxes_of(root)
    assert len(boxes) == len(picture.shapes)
    edges = [part for part in root.iter(f"{SVG}g") if "data-from" in part.attrib]
    assert len(edges) == len(picture.edges)
    width, height = (float(side) for side in root.get("viewBox").split()[2:])
    for _, left, top, right, bottom in boxes.values():
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    for parts in picture.inside().values():
        for one, other in combinations([boxes[shape.id][1:] for shape in parts if shape.id in boxes], 2):
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    for shape in picture.shapes.values():
        if shape.parent in boxes and shape.id in boxes:
            inner, outer = boxes[shape.id], boxes[shape.parent]
            assert outer[1:3] <= inner[1:3]
            assert outer[2] <= inner[2]
            assert inner[3] <= outer[3]
            assert inner[4] <= outer[4]
    return root


def zoo() -> Graph:
    """A flow with a loop, a fork, nested flows, a batch, an event and a fan-out."""
    inner = Graph("inner")
    for step in (
        Step("one", same, routes={"default": "two"}),
        Step("two", same, routes={"again": "one", "default": "end"}),
    ):
        inner.add(step)
    graph = Graph("zoo")
    fork = Parallel({"left": same, "right": Branch(inner), "more": Branch(same, each=[1])}, join="any")
    for step in (
        Step("plan", same, fan_out=["work"], routes={"default": "fork", "stop": "end"}),
        Step("work", same),
        Step("fork", fork, routes={"default": "many"}),
        Step("many", same, each=[1], when=[{"if": "result[0] > 1", "next": "plan"}, {"next": "inner"}]),
        Step("inner", inner, routes={"default": "tell"}),
        Step("tell", None, emits="it.happened", routes={"default": "tell", "x": "end"}),
    ):
        graph.add(step)
    return graph


def test_a_flow_is_drawn_whole() -> None:
    """With title and description, an arrow head, and colours for light and dark."""
    root = check(picture_of(zoo()))
    assert root.get("role") == "img"
    assert [root.find(f"{SVG}{part}").text for part in ("title", "desc")] == ["zoo", "12 nodes, 14 edges"]
    assert "prefers-color-scheme: dark" in root.find(f"{SVG}style").text
    labels = {text.text for text in root.iter(f"{SVG}text")}
    assert {"fork (join: any)", "if result[0] > 1", "else", "stop", "again", "it.happened"} <= labels


def test_arrows_lead_downward_but_for_loops() -> None:
    """A line of nodes is a line."""
    root = check(picture_with("abc", [("a", "b"), ("b", "c"), ("c", "a")]))
    boxes = boxes_of(root)
    assert boxes["a"][2] < boxes["b"][2] < boxes["c"][2]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_text(name: str) -> None:
    """In title, box, group, edge and detail."""
    picture = Picture(name)
    picture.add(Group("g" + name, name, kind=name, detail=name))
    picture.add(Shape("a" + name, name, kind=name, parent="g" + name, detail=name))
    picture.add(Shape("b" + name, name, parent="g" + name))
    picture.edges.append(Edge("a" + name, "b" + name, name))
    picture.mark({"a" + name: "failed"})
    root = ET.fromstring(to_svg(picture))
    assert {part.tag for part in root.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "title", "desc", "style", "defs", "marker", "path", "g", "rect", "text")
    }
    chart = to_mermaid(picture)
    assert chart.encode().count(b"\n") == 8
    assert all(line.count('"') in (0, 2) for line in chart.splitlines())


def test_marks_are_colours_signs_and_words() -> None:
    """For those who cannot tell the colours apart, and for those who cannot see."""
    picture = picture_of(zoo())
    picture.mark({"plan": "visited", "fork": "working", "fork/left": "failed", "nowhere": "failed", "inner": "waiting"})
    root = check(picture)
    found = {part.get("data-id"): part for part in root.iter(f"{SVG}g") if "data-id" in part.attrib}
    assert found["plan"].get("class") == "node call visited"
    assert found["plan"].find(f"{SVG}title").text == "plan (visited)"
    assert [text.text for text in found["fork/left"].iter(f"{SVG}text")] == ["✕ left"]
    assert "fork/left: failed" in root.find(f"{SVG}desc").text
    assert "class n0 visited" in to_mermaid(picture)
    assert picture.to_json()["nodes"][1] == {"id": "plan", "label": "plan", "kind": "call", "mark": "visited"}


def test_the_picture_as_json_holds_nodes_groups_and_edges() -> None:
    """Ids are paths of a run, parents are ids of groups."""
    document: Any = picture_of(zoo()).to_json()
    assert {"id": "fork/right/one", "label": "one", "kind": "call", "parent": "fork/right"} in document["nodes"]
    assert [group["id"] for group in document["groups"]] == ["fork", "fork/right", "inner"]
    assert {"source": "plan", "target": "work", "label": "each", "kind": "fan"} in document["edges"]


def test_what_undoes_a_node_hangs_on_it() -> None:
    """By an edge of its own kind, from an outline as from a flow."""

    def refund(done: object) -> object:
        return done

    graph = Graph("g")
    graph.add(Step("charge", same, compensate=refund))
    nodes = {"charge": {"uses": "./n.py:charge", "compensate": {"uses": "./n.py:refund"}, "next": "sure"}}
    outline = outline_of("g", {"g": {"nodes": {**nodes, "sure": {"ask": {"question": "Sure?"}}}}})
    for drawn in (graph, outline):
        picture = picture_of(drawn)
        check(picture)
        assert ("charge", "charge!undo", "undo") in [(edge.source, edge.target, edge.kind) for edge in picture.edges]
    assert picture.shapes["sure"].kind == "ask"
    assert 'n2{{"sure"}}' in to_mermaid(picture)


names = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(names, names), max_size=20))
@settings(max_examples=80, deadline=None)
def test_no_two_boxes_overlap_whatever_the_edges(edges: list[tuple[str, str]]) -> None:
    """Loops, twins and islands too."""
    check(picture_with("abcdefgh", edges))


@pytest.mark.parametrize("shape", ["line", "tree", "random", "fork"])
def test_a_thousand_nodes_are_drawn_in_two_seconds(shape: str) -> None:
    """Lines with a way back, wide trees, tangles, and forks without edges."""
    count = 1000
    edges = {
        "line": [(index, index + 1) for index in range(count - 1)] + [(count - 1, 0), (500, 3)],
        "tree": [((index - 1) // 3, index) for index in range(1, count)],
        "random": [(index, index * 7919 % count) for index in range(count)] + [(i, i + 1) for i in range(count - 1)],
        "fork": [],
    }[shape]
    picture = picture_with(map(str, range(count)), [(str(source), str(target)) for source, target in edges])
    start = time.process_time()
    text = to_svg(picture)
    assert time.process_time() - start < 2
    assert text.count("<rect") == count
