"""JSON: compact text, strict reading, comparison by value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow_kernel.schema import read_strictly, same, write_compactly

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(-3, 3), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=3)),
    max_leaves=8,
)


@settings(deadline=None)
@given(value=values)
def test_json_text_reads_as_the_value_it_was_written_from(value: Any) -> None:
    """Writing and reading give the value back; only a string is written without its quotes."""
    text = write_compactly(value)
    if isinstance(value, str):
        assert text == value
    else:
        assert read_strictly(text) == (value, None)


@settings(deadline=None)
@given(left=values, right=values)
def test_json_values_are_the_same_when_their_canonical_texts_are(left: Any, right: Any) -> None:
    """Equality is that of canonical JSON: sorted keys, and one form for each number."""

    def canonical(value: Any) -> str:
        whole = json.loads(
            json.dumps(value), parse_float=lambda text: int(float(text)) if float(text) % 1 == 0 else text
        )
        return json.dumps(whole, sort_keys=True)

    assert same(left, right) is (canonical(left) == canonical(right))
    assert same(left, left)


@pytest.mark.parametrize(("left", "right"), [(1, True), (0, False), ([1], [True]), ({"a": 0}, {"a": False}), (1, "1")])
def test_json_numbers_are_not_booleans(left: Any, right: Any) -> None:
    """Python's 1 == True is not JSON's."""
    assert not same(left, right)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "-Infinity", "", "{'a': 1}", '{"a": 1} x', "```\nx\n```", "```"])
def test_json_that_is_none_is_refused_with_a_reason(text: str) -> None:
    """Python's own constants, an empty text and trailing words are no JSON."""
    value, problem = read_strictly(text)
    assert value is None
    assert problem is not None
    assert problem.startswith("is not JSON")


def test_json_nested_too_deeply_is_refused() -> None:
    """A text that cannot be read without end is refused, and a value that deep is not written."""
    assert read_strictly("[" * 100_000)[1] == "is nested too deeply"
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert "nested too deeply" in write_compactly(deep)
    while deep:  # taken apart, because a deep value must not be freed in one go
        deep = deep[0]


@pytest.mark.parametrize("text", ["1e999", '{"a": [-1e999]}', r'"\ud800"', r'{"\uDC00": 1}', '"\ud800"'])
def test_json_that_cannot_be_stored_is_refused(text: str) -> None:
    """A number beyond all floats and half a character read well, and could be written nowhere."""
    value, problem = read_strictly(text)
    assert value is None
    assert str(problem).startswith("is not JSON")
    assert read_strictly(r'["\ud83d\ude00", 1e99]') == (["😀", 1e99], None)
