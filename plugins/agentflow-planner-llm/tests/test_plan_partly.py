"""Arguments in which references stand: what is wrong whatever they turn out to be is found, and nothing else."""

from __future__ import annotations

import random
from typing import Any

import pytest
from plans import TOOLS, findings, plan, ref, step
from test_plan_fitting import COMPOSED, FILE, random_value

from agentflow_kernel.contracts.tool import Tool
from agentflow_kernel.schema import find_problems
from agentflow_planner_llm.plan.partly import find_certain

R = ref("input.x")
NODE = {"$ref": "#/$defs/node"}
SCHEMA: dict[str, Any] = {
    "$defs": {"node": {"type": "object", "properties": {"n": {"type": "integer"}, "next": NODE}, "required": ["n"]}},
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "node": NODE,
        "nodes": {"type": "array", "items": NODE, "maxItems": 2},
        "size": {"enum": ["s", "m"]},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
        "any": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "string"}}]},
        "all": {"allOf": [NODE, {"required": ["m"]}]},
        "set": {"type": "array", "uniqueItems": True},
        "by": {"patternProperties": {"^p": {"type": "string"}}, "additionalProperties": False},
    },
}
BAD: dict[str, tuple[Any, str, str]] = {
    "list for a text": ({"text": [R]}, "/text", "must be string, not array"),
    "object for a text": ({"text": {"a": R}}, "/text", "must be string, not object"),
    "literal behind a reference of the schema": ({"node": {"n": "x", "next": R}}, "/node/n", "must be integer"),
    "behind two of them": ({"node": {"n": 1, "next": {"n": "x", "next": R}}}, "/node/next/n", "must be integer"),
    "missing behind it": ({"node": {"next": R}}, "/node/n", "is required but missing"),
    "literal beside a reference in a list": ({"nodes": [R, {"n": "x"}]}, "/nodes/1/n", "must be integer"),
    "list that is too long": ({"nodes": [R, R, R]}, "/nodes", "at most 2 items"),
    "list for one of some words": ({"size": [R]}, "/size", "must be one of"),
    "more than a pair": ({"pair": [R, 1, 2]}, "/pair/2", "nothing is allowed"),
    "no form for it": ({"any": {"a": R}}, "/any", "fits none"),
    "no form for its literals": ({"any": [R, 3]}, "/any", "fits none"),
    "one of several schemas": ({"all": {"n": R}}, "/all/m", "is required"),
    "twice the same": ({"set": [1, R, 1]}, "/set", "occurs twice"),
    "no such property": ({"by": {"q": R, "p": R}}, "/by/q", "no such property"),
}
GOOD: dict[str, Any] = {
    "references everywhere": dict.fromkeys(SCHEMA["properties"], R),
    "behind the schema's references": {"node": {"n": R, "next": {"n": 3, "next": R}}, "nodes": [R, {"n": R}]},
    "forms that may fit": {"any": [R, "x"], "all": {"n": 1, "m": R}, "pair": [R, 1], "set": [1, R, 2, R]},
    "by a pattern": {"by": {"p1": R, "p2": "x"}},
}


@pytest.fixture(autouse=True)
def _tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOOLS, "deep", Tool("deep", "", SCHEMA))


@pytest.mark.parametrize(("args", "pointer", "part"), BAD.values(), ids=BAD)
def test_what_is_wrong_for_certain_is_found(args: Any, pointer: str, part: str) -> None:
    (found,) = findings(plan(step("a", "deep", args=args)))
    assert (found.code, found.pointer) == ("P004", "/steps/0/args" + pointer)
    assert f"{pointer}: {part}" in found or part in found


@pytest.mark.parametrize("args", GOOD.values(), ids=GOOD)
def test_what_may_fit_is_not_found(args: Any) -> None:
    assert findings(plan(step("a", "deep", args=args))) == []


def test_call_without_arguments_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOOLS, "some", Tool("some", "", {"type": "object", "minProperties": 1}))
    assert [each.code for each in findings(plan(step("a", "some")))] == ["P004"]


def test_default_of_a_reference_is_checked_behind_the_schemas_references() -> None:
    (found,) = findings(plan(step("a", "deep", args={"node": ref("input.x", default={"n": "x"})})))
    assert (found.code, found.pointer) == ("P009", "/steps/0/args/node")


def with_holes(chance: random.Random, value: Any, at: tuple[Any, ...], holes: list[tuple[Any, ...]]) -> Any:
    """The value with references at random places."""
    if at and chance.random() < 0.3:
        holes.append(at)
        return R
    if isinstance(value, dict):
        return {name: with_holes(chance, item, (*at, name), holes) for name, item in value.items()}
    if isinstance(value, list):
        return [with_holes(chance, item, (*at, index), holes) for index, item in enumerate(value)]
    return value


@pytest.mark.parametrize("schema", [FILE, COMPOSED, SCHEMA], ids=["plain", "composed", "deep"])
def test_value_that_fits_has_nothing_wrong_when_parts_of_it_are_references(schema: Any) -> None:
    """No false alarm, for any value that fits and any parts of it that are not known yet."""
    chance, tried = random.Random(3), 0
    while tried < 40:
        value = random_value(chance)
        if isinstance(value, dict) and value and not find_problems(value, schema):
            holes: list[tuple[Any, ...]] = []
            shown = with_holes(chance, value, (), holes)
            assert find_certain(shown, schema, schema, holes) == [], (value, shown)
            tried += bool(holes)


MAYBE_TEXT = {"anyOf": [{"type": "string"}, {"type": "null"}]}
FITS: list[tuple[Any, Any, bool]] = [
    ({"$ref": "#/$defs/t", "$defs": {"t": {"type": "integer"}}}, {"type": "string"}, False),
    ({"$ref": "#/$defs/t", "$defs": {"t": {"type": "string"}}}, {"type": "string"}, True),
    ({"type": "integer"}, MAYBE_TEXT, False),
    ({"type": "null"}, MAYBE_TEXT, True),
    (MAYBE_TEXT, {"type": "string"}, True),
    (MAYBE_TEXT, {"type": "integer"}, False),
    (MAYBE_TEXT, {"oneOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}]}, False),
    ({"anyOf": [{"type": "integer"}, True]}, {"type": "string"}, True),
    ({"$ref": "elsewhere.json"}, {"type": "string"}, True),
    ({"$ref": "#"}, {"type": "string"}, True),
    ({"type": "integer"}, {"$ref": "#/$defs/loop"}, True),
    ({"type": "integer"}, {"$ref": "#/$defs/text"}, False),
]


@pytest.mark.parametrize(("given", "wanted", "fits"), FITS)
def test_results_are_compared_behind_references_and_in_their_forms(
    given: Any, wanted: Any, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P009 where none of the forms of a result fits any that is wanted, and only there."""
    defs = {"loop": {"$ref": "#/$defs/loop"}, "text": {"type": "string"}}
    monkeypatch.setitem(TOOLS, "use", Tool("use", "", {"properties": {"x": wanted}, "$defs": defs}))
    found = findings(plan(step("a", returns=given), step("b", "use", args={"x": ref("a.result")})))
    assert [each.code for each in found] == ([] if fits else ["P009"])


def test_path_into_a_result_is_followed_behind_references() -> None:
    returns = {"$ref": "#/$defs/page", "$defs": {"page": {"properties": {"n": {"$ref": "#/$defs/n"}},
               "additionalProperties": False}, "n": {"type": "integer"}}}  # fmt: skip
    for path in ("a.result.n", "a.result.m", "a.result.n.x"):
        (found,) = findings(plan(step("a", returns=returns), step("b", "deep", args={"text": ref(path)})))
        assert found.code == "P009"


def test_forms_of_forms_without_number_are_compared_in_time() -> None:
    forms = {f"f{n}": {"anyOf": [{"$ref": f"#/$defs/f{n + 1}"}] * 30} for n in range(12)}
    returns = {"$ref": "#/$defs/f0", "$defs": {**forms, "f12": {"type": "integer"}}}
    assert findings(plan(step("a", returns=returns), step("b", "deep", args={"text": ref("a.result")}))) == []
