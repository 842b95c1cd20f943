"""The check of values against schemas: what is refused, where, and that it always comes to an end."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentflow_kernel.schema import find_problems

NESTED: dict[str, Any] = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": {"type": "object", "required": ["a/b", "c~d"]}}},
}
TREE: dict[str, Any] = {
    "anyOf": [{"type": "integer"}, {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}]
}


def test_schema_that_is_a_part_refers_to_the_whole() -> None:
    part = {"$ref": "#/$defs/n"}
    whole = {"properties": {"a": part}, "$defs": {"n": {"type": "integer"}}}
    assert find_problems("x", part, whole) == ["the whole value: must be integer, not string"]
    assert find_problems(1, part, whole) == []


@pytest.mark.parametrize(
    ("schema", "fits", "breaks"),
    [
        ({"type": "string"}, "x", 1),
        ({"type": "integer"}, 2.0, 2.5),
        ({"type": "integer"}, 10**400, True),
        ({"type": "number"}, 0, False),
        ({"type": "boolean"}, False, 0),
        ({"type": "null"}, None, 0),
        ({"type": "array"}, [], {}),
        ({"type": "object"}, {}, []),
        ({"type": ["string", "null"]}, None, 1),
        ({"enum": [1, "a", {"b": [True]}]}, {"b": [True]}, {"b": [1]}),
        ({"const": False}, False, 0),
        ({"const": 1}, 1.0, "1"),
        ({"required": ["a"]}, {"a": None}, {}),
        ({"properties": {"a": {"type": "string"}}}, {"b": 1}, {"a": 1}),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1}, {"b": 1}),
        ({"additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": "1"}),
        ({"patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False}, {"x-a": 1}, {"y": 1}),
        ({"patternProperties": {"^x-": {"type": "integer"}}}, {"y": ""}, {"x-a": ""}),
        ({"propertyNames": {"maxLength": 2}}, {"ab": 1}, {"abc": 1}),
        ({"minProperties": 1}, {"a": 1}, {}),
        ({"maxProperties": 1}, {"a": 1}, {"a": 1, "b": 2}),
        ({"items": {"type": "integer"}}, [1], [1, "2"]),
        ({"prefixItems": [{"type": "string"}], "items": False}, ["a"], ["a", 1]),
        ({"prefixItems": [{"type": "string"}]}, [], [1]),
        ({"minItems": 1}, [1], []),
        ({"maxItems": 1}, [1], [1, 2]),
        ({"uniqueItems": True}, [1, True, "1"], [1, 2, 1.0]),
        ({"minLength": 2}, "ab", "a"),
        ({"maxLength": 2}, "ab", "abc"),
        ({"pattern": "^a+$"}, "aa", "b"),
        ({"pattern": "("}, "a broken pattern refuses nothing", None),
        ({"minimum": 1}, 1, 0.5),
        ({"maximum": 1}, 1, 1.5),
        ({"exclusiveMinimum": 1}, 1.1, 1),
        ({"exclusiveMaximum": 1}, 0.9, 1),
        ({"multipleOf": 0.1}, 0.3, 0.35),
        ({"multipleOf": 0.1}, 3, 3.05),
        ({"multipleOf": 3}, 10**40 * 3, 10),
        ({"anyOf": [{"type": "string"}, {"minimum": 3}]}, 3, 2),
        ({"oneOf": [{"type": "integer"}, {"minimum": 3}]}, 2, 3),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 2, []),
        ({"anyOf": [True, {"type": "string"}]}, 2, None),
        ({"anyOf": [False, {"type": "string"}]}, "a", 2),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, 2, 3),
        ({"not": {"type": "string"}}, 1, "1"),
        ({"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"}, "x", 1),
        ({"prefixItems": [{"type": "string"}], "items": {"$ref": "#/prefixItems/0"}}, ["a", "b"], ["a", 1]),
        ({"prefixItems": [{"$ref": "#/prefixItems/1"}]}, [1], None),
        ({"$defs": {"a/b": {"type": "string"}}, "$ref": "#/%24defs/a~1b"}, "x", 1),
        (TREE, {"next": {"next": 1}}, {"next": {"next": "x"}}),
        (False, ..., None),
    ],
)
def test_schema_takes_what_fits_and_refuses_what_does_not(schema: Any, fits: Any, breaks: Any) -> None:
    """Each keyword, with a value that fits and one that does not."""
    if fits is not ...:
        assert find_problems(fits, schema) == []
    if breaks is not None or schema is False:
        assert find_problems(breaks, schema)


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"format": "date", "description": "x", "x-vendor": 3},
        {"$ref": "https://example.org/other"},
        {"$ref": "#/no/such"},
        {"$ref": "#anchor"},
    ],
)
def test_schema_without_a_say_refuses_nothing(schema: Any) -> None:
    """Annotations, unknown keywords and references to elsewhere allow everything."""
    for value in (None, True, 1, "x", [1], {"a": 1}):
        assert find_problems(value, schema) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": False}, "required": ["a"], "additionalProperties": False, "minProperties": 9},
        {"patternProperties": {"": False}, "propertyNames": False, "maxProperties": 0},
        {"items": False, "prefixItems": [False], "minItems": 9, "uniqueItems": True},
        {"minLength": 9, "pattern": "^$", "maxLength": 0},
        {"minimum": 9, "maximum": 0, "exclusiveMinimum": 9, "exclusiveMaximum": 0, "multipleOf": 7},
    ],
)
def test_schema_keywords_have_no_say_over_values_of_another_type(schema: Any) -> None:
    """A keyword for one type refuses no value of another: no number is too short, no text too small."""
    kinds = {
        "required": "object",
        "propertyNames": "object",
        "items": "array",
        "pattern": "string",
        "minimum": "number",
    }
    (own,) = {kind for keyword, kind in kinds.items() if keyword in schema}
    samples: dict[str, Any] = {"object": {"a": 1}, "array": [1, 1], "string": "x", "number": 3, "boolean": True}
    for kind, value in samples.items():
        assert (find_problems(value, schema) == []) is (kind != own), kind


def test_schema_problems_begin_with_a_json_pointer() -> None:
    """The pointer leads to the value, with its special characters escaped."""
    assert find_problems({"items": [{"a/b": 1, "c~d": 2}, {}]}, NESTED) == [
        "/items/1/a~1b: is required but missing",
        "/items/1/c~0d: is required but missing",
    ]
    assert find_problems("x", NESTED) == ["the whole value: must be object, not string"]


def test_schema_names_at_most_five_problems() -> None:
    """A long list of problems helps nobody."""
    schema = {"additionalProperties": False}
    assert len(find_problems({str(number): 1 for number in range(100)}, schema)) == 5


def test_schema_of_an_optional_value_says_what_is_wrong_with_it() -> None:
    """Where one branch has the value's type, its problem is named and not that nothing fits."""
    schema: Any = {"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 3}]}
    assert find_problems("long", schema) == ["the whole value: must have at most 3 characters"]
    assert find_problems([], schema) == ["the whole value: fits none of the allowed forms"]
    never: Any = {"anyOf": [False, {"type": "string", "maxLength": 3}]}
    assert find_problems("long", never) == ["the whole value: must have at most 3 characters"]


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        ({"const": "a"}, "b", 'must be "a"'),
        ({"enum": ["a", 1]}, "b", 'must be one of ["a",1]'),
        ({"type": ["string", "null"]}, 1, "must be string or null, not number"),
        ({"additionalProperties": False}, {"x": 1}, "is not allowed; known are none"),
    ],
)
def test_schema_problems_say_what_was_expected(schema: Any, value: Any, problem: str) -> None:
    """The sentence names what would have been right."""
    assert find_problems(value, schema)[0].partition(": ")[2] == problem


def test_schema_check_of_nested_choices_takes_linear_time() -> None:
    """Each level of choices is tried once: a deep wrong value is refused at once, not after 2 ** depth tries."""
    value: Any = "wrong"
    for _ in range(60):
        value = {"next": value}
    assert find_problems(value, TREE)


def test_schema_check_of_a_value_nested_too_deeply_ends() -> None:
    """A value deeper than the interpreter can follow is refused, not an exception."""
    value: Any = 1
    for _ in range(100_000):
        value = {"next": value}
    assert find_problems(value, TREE) == ["the whole value: is nested too deeply to be checked"]
    while isinstance(value, dict):  # taken apart, because a deep value must not be freed in one go
        value = value["next"]


def test_schema_that_refers_to_itself_ends() -> None:
    """A reference that leads nowhere but to itself is found out."""
    assert find_problems(1, {"$ref": "#"}) == ["the whole value: is nested too deeply to be checked"]


@pytest.mark.parametrize(
    "schema", [{"required": 3}, {"enum": 1}, {"properties": []}, {"minimum": "x"}, {"multipleOf": 0}, {"anyOf": None}]
)
def test_schema_that_is_wrong_is_said_to_be(schema: Any) -> None:
    """A schema of the wrong form refuses the value with a reason instead of raising."""
    value = {"a": 1} if "required" in schema or "properties" in schema else 3
    assert "the schema is wrong" in find_problems(value, schema)[0]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["part"]
    size: Annotated[int, Field(ge=1, le=9)]
    label: Annotated[str, Field(min_length=1, max_length=4, pattern="^[a-z]+$")] | None = None


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    parts: Annotated[list[Part], Field(min_length=1, max_length=3)]
    colour: Literal["red", "blue"] = "red"
    weights: dict[str, float] = {}
    parent: Whole | None = None


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 11), st.sampled_from([1.5, 2.5, "", "ab", "red", "Ä", "part"])
)
keys = st.sampled_from(["kind", "size", "label", "parts", "colour", "weights", "parent", "x"])
parts = st.fixed_dictionaries(
    {"kind": st.just("part"), "size": st.integers(-1, 11)}, optional={"label": leaves, "x": leaves}
)
wholes = st.fixed_dictionaries(
    {"parts": st.lists(st.one_of(parts, leaves), max_size=4)},
    optional={
        "colour": leaves,
        "weights": st.dictionaries(keys, leaves, max_size=2),
        "parent": st.one_of(leaves, st.fixed_dictionaries({"parts": st.lists(parts, max_size=2)})),
        "x": leaves,
    },
)


@settings(max_examples=200, deadline=None)
@given(value=st.one_of(wholes, leaves))
def test_schema_of_a_pydantic_model_accepts_what_the_model_accepts(value: Any) -> None:
    """The schema that pydantic writes for a model gives the same verdict here as the model itself."""
    try:
        Whole.model_validate(value)
        accepted = True
    except ValidationError:
        accepted = False
    assert (find_problems(value, Whole.model_json_schema()) == []) is accepted
