"""References are filled in from what a run knows, and say where they lead nowhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow_kernel.errors import InputInvalid, UsageError
from agentflow_kernel.flow import Template
from agentflow_kernel.flow.reference import parse_path

ROOTS: dict[str, object] = {
    "input": {"path": "a.log", "sizes": [3, 4]},
    "parse": {"items": [{"id": 1}, {"id": 2}], "text": "abc"},
    "state": {"seen": 7},
    "event": {"data": {"key": "k"}},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("input", ROOTS["input"]),
        ("input.sizes[1]", 4),
        ("input.sizes[-1]", 4),
        ("parse.result", ROOTS["parse"]),
        ("parse.result.items[0].id", 1),
        ("state.seen", 7),
        ("event.data.key", "k"),
    ],
)
def test_a_reference_is_followed_through_names_and_indices(text: str, value: object) -> None:
    """A node's data is ``<node>.result``; the other roots are read as they are."""
    assert Template({"$ref": text}).fill(ROOTS) == value


def test_references_are_filled_in_at_any_depth() -> None:
    """What is no reference stays as it stands."""
    template = Template({"a": [{"$ref": "input.path"}, 1, None], "b": {"c": {"$ref": "parse.result.text"}, "d": True}})
    assert template.fill(ROOTS) == {"a": ["a.log", 1, None], "b": {"c": "abc", "d": True}}


def test_the_item_of_a_batch_is_a_root_of_its_own() -> None:
    """``item`` is given for each filling."""
    template = Template({"id": {"$ref": "item.id"}, "path": {"$ref": "input.path"}})
    assert [template.fill(ROOTS, item)["id"] for item in ({"id": 1}, {"id": 2})] == [1, 2]


def test_each_filling_makes_containers_of_its_own() -> None:
    """What one visit does to its input does not reach the next one."""
    template = Template({"list": [], "object": {"a": [1]}})
    first, second = template.fill(ROOTS), template.fill(ROOTS)
    first["list"].append(1)
    first["object"]["a"].append(2)
    assert second == {"list": [], "object": {"a": [1]}}


def test_a_template_names_what_it_refers_to_in_order() -> None:
    """The graph's check asks for it."""
    template = Template([{"$ref": "b.result"}, {"x": {"$ref": "input.y"}}, {"$ref": "a.result[0]"}])
    assert list(template.names()) == ["b", "input", "a"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("input.pth", r"\$ref 'input.pth': there is no 'pth' in input\. It has: 'path', 'sizes'\."),
        ("input.sizes[2]", r"there is no 2 in input\.sizes\."),
        ("parse.result.items[0].id.x", r"there is no 'x' in parse\.items\.0\.id\."),
        ("later.result", r"there is no 'later' in the roots\. It has: 'input', 'parse'"),
        ("input.sizes.first", r"there is no 'first' in input\.sizes\."),
    ],
)
def test_a_reference_that_leads_nowhere_says_where_it_stopped(text: str, problem: str) -> None:
    """The error names the reference, the missing part and what is there instead."""
    with pytest.raises(InputInvalid, match=problem):
        Template({"$ref": text}).fill(ROOTS)


@pytest.mark.parametrize(
    "text", ["", ".a", "a..b", "a.", "a[0", "a[x]", "a[]", "a[0]b", "a[--1]", "a[²]", "a[1_0]", "[0]", "a[+1]"]
)
def test_a_reference_of_a_wrong_form_is_refused_when_it_is_compiled(text: str) -> None:
    """A mistake in writing is found before anything runs."""
    with pytest.raises(UsageError, match=r"Reference .*: (expected an index|an empty name)"):
        Template({"$ref": text})


def test_a_reference_to_a_node_goes_through_its_result() -> None:
    """``parse.items`` is not silently taken for ``parse.result.items``."""
    with pytest.raises(UsageError, match=r"Reference 'parse.items': a node's data is parse\.result"):
        Template({"$ref": "parse.items"})


def test_a_reference_is_a_string() -> None:
    """Anything else under ``$ref`` is a mistake."""
    with pytest.raises(UsageError, match=r"A \$ref must be a string such as 'parse\.result', not 3"):
        Template({"$ref": 3})


names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,8}", fullmatch=True)
paths = st.lists(st.one_of(names, st.integers(-9, 99)), min_size=1, max_size=6).filter(
    lambda parts: isinstance(parts[0], str)
)


@given(paths)
def test_a_path_that_is_written_out_is_read_back(parts: list[str | int]) -> None:
    """Names after dots, numbers in brackets."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)[1:]
    assert parse_path(text) == parts


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=12,
).filter(lambda value: "$ref" not in repr(value))


@given(json_values)
def test_a_value_without_references_is_its_own_template(value: object) -> None:
    """Whatever JSON a manifest holds comes out as it went in."""
    assert Template(value).fill({}) == value
