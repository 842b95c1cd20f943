"""What is journalled is JSON that comes back as it went in; anything else is refused by name and place."""

from __future__ import annotations

from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow_kernel.errors import NotSerialisable
from agentflow_kernel.run.canonical import hash_text, to_json


class Size(IntEnum):
    BIG = 3


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


def circular() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=("Cs",))),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=6), inner, max_size=4),
    ),
    max_leaves=20,
)


@given(json_values)
def test_json_comes_back_as_it_went_in(value: object) -> None:
    """The copy is equal and shares nothing that can be changed."""
    back, text = to_json(value, "node")
    assert back == value
    assert to_json(back, "node") == (back, text)
    assert back is not value or not isinstance(value, list | dict)


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [
        ((1, 2), "", "a tuple"),
        ({"a": [1, (2,)]}, ".a[1]", "a tuple"),
        ({1: "one"}, "", "an object with the key 1"),
        ({"a": {None: 1}}, ".a", "an object with the key None"),
        ({True: 1}, "", "an object with the key True"),
        ([0.5, float("nan")], "[1]", "the number nan"),
        ({"a": float("inf")}, ".a", "the number inf"),
        ([float("-inf")], "[0]", "the number -inf"),
        ({"a": {"b": {1, 2}}}, ".a.b", "a set"),
        ({"a": b"bytes"}, ".a", "a bytes"),
        ([object()], "[0]", "an object"),
        ({"a": "ok", "b": ["\ud800"]}, ".b[0]", "a string with a lone surrogate"),
        ({"\udcff": 1}, "", r"an object with the key '\udcff'"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(value: object, path: str, found: str) -> None:
    """The first fault is named, also where JSON would change a value silently."""
    with pytest.raises(NotSerialisable, match="Node 'parse' gave a value that cannot be journalled: ") as caught:
        to_json(value, "parse")
    assert (caught.value.node, caught.value.path, caught.value.found) == ("parse", path, found)


@pytest.mark.parametrize("value", [nested(300), nested(900), nested(100_000), circular()], ids="abcd")
def test_what_is_nested_too_deep_for_some_readers_is_refused_or_kept_whole(value: object) -> None:
    """There is no third way, such as a RecursionError."""
    try:
        back, _ = to_json(value, "parse")
    except NotSerialisable as error:
        back = error.found
    assert back in ("nested more than 200 deep", value)


def test_a_number_too_large_to_be_written_is_refused() -> None:
    """Python itself refuses to write it; the error is ours."""
    with pytest.raises(NotSerialisable, match="it is a value of type int"):
        to_json(10**5000, "parse")


def test_subclasses_of_json_types_become_plain() -> None:
    """Equal values pass, and come back as the plain type at once, not only after a crash."""
    back, _ = to_json([Size.BIG, {"a": True}], "node")
    assert back == [3, {"a": True}]
    assert type(back[0]) is int  # type: ignore[index]  # a list, as just compared


def test_an_equal_text_has_an_equal_hash_and_another_one_another() -> None:
    """Sixteen digits, enough to notice a change."""
    assert hash_text("[1]") == hash_text("[1]") != hash_text("[2]")
    assert len(hash_text("")) == 16
