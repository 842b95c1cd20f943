"""Documents that are hard to read: schemas that are none, values that cannot be stored, nesting without end."""

from __future__ import annotations

from typing import Any

import pytest
from dag_driver import dag
from plans import TOOLS, findings, plan, ref, step
from strategy_driver import Model, run, think, tool

from agentflow_kernel.contracts.tool import Tool
from agentflow_kernel.errors import PlanInvalid
from agentflow_planner_llm.strategies.compiler import Compiler
from agentflow_planner_llm.strategies.plan_and_execute import PlanAndExecute
from agentflow_planner_llm.strategies.rewoo import Rewoo
from agentflow_planner_llm.strategy_settings import PlanAndExecuteSettings, PlannedSettings


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def nested_schema(depth: int) -> Any:
    value: Any = {"type": "string"}
    for _ in range(depth):
        value = {"type": "object", "properties": {"a": value}}
    return value


WRONG_SCHEMAS: list[tuple[Any, str]] = [
    ({"type": 5}, "/type: 5 is no type"),
    ({"type": ["string", {}]}, "/type: {} is no type"),
    ({"type": "object", "properties": ["x"]}, "/properties: must be an object"),
    ({"type": "object", "properties": {"x": 5}}, "/properties/x: a JSON Schema is an object"),
    ({"type": "object", "propertis": {}}, "/propertis: is no word of JSON Schema (did you mean 'properties'?)"),
    ({"type": "array", "items": [{}]}, "/items: must be one schema for all items"),
    ({"type": "array", "items": {"pattern": "("}}, "/items/pattern: '(' is no regular expression"),
    ({"minLength": "x"}, "/minLength: must be a whole number"),
]


@pytest.mark.parametrize(("schema", "part"), WRONG_SCHEMAS)
def test_a_schema_that_is_none_is_a_finding(schema: Any, part: str) -> None:
    """In `returns` and in the arguments that are schemas; what follows a path into it does not break."""
    user = step("b", "files.read", args={"path": ref("a.result.x")})
    (found, *_) = findings(plan(step("a", returns=schema), user))
    assert (found.code, found.pointer) == ("P001", "/steps/0/returns")
    assert part in found
    for kind, field, args in (
        ("model", "output_schema", {"prompt": "x"}),
        ("wait", "schema", {"type": "signal", "name": "s"}),
        ("ask", "schema", {"question": "?"}),
    ):
        asks = {"id": "a", "kind": kind, "args": {**args, field: schema}}
        (found, *_) = findings(plan(asks, user))
        assert (found.code, found.pointer) == ("P001", f"/steps/0/args/{field}")
        assert part in found


def test_a_schema_with_all_the_usual_words_is_taken() -> None:
    schema = {
        "$defs": {"name": {"type": ["string", "null"], "pattern": "^a+$", "minLength": 1}},
        "type": "object",
        "properties": {"n": {"$ref": "#/$defs/name"}, "l": {"type": "array", "prefixItems": [True], "items": False}},
        "anyOf": [{"required": ["n"]}, {"minProperties": 2}],
        "additionalProperties": {"multipleOf": 2, "maximum": 8},
        "x-own": 5,
    }
    assert findings(plan(step("a", returns=schema))) == []


HARD: list[tuple[str, Any]] = [
    ("args", step("a", args={"x": nested(20_000)})),
    ("default", step("a", args={"x": ref("input.x", default=nested(20_000))})),
    ("returns", step("a", returns=nested_schema(20_000))),
    ("cost", step("a", cost_estimate={"usd": nested(20_000)})),
    ("whole number", step("a", args={"x": 10**5000})),
    ("not a number", step("a", args={"x": float("nan")})),
    ("endless", step("a", args={"x": float("inf")})),
    ("half a character", step("a", args={"x": "\ud800"})),
    ("half a key", step("a", args={"\ud800": 1})),
    ("key", step("a", args={1: 2, "a": 3})),
    ("no JSON", step("a", args={"x": object()})),
    ("rounds", step("a", routes=[{"to": "a", "when": "result", "max": 10**250}])),
    ("factor", step("a", on_error="retry", retry={"attempts": 70, "wait_s": 1e300, "factor": 1e300})),
]


@pytest.mark.parametrize("document", [plan(each) for _, each in HARD], ids=[name for name, _ in HARD])
def test_a_document_beyond_measure_is_a_finding(document: Any) -> None:
    """Whatever is asked of it: no error of the interpreter comes out."""
    assert findings(document)[0].code == "P001"
    with pytest.raises(PlanInvalid):
        dag().read(document)


def test_values_beyond_measure_are_found_in_state_and_output() -> None:
    assert findings(plan(step("a"), state={"k": {"initial": nested(20_000)}}))[0].pointer.startswith("/state/k")
    assert findings(plan(step("a"), output=nested(20_000)))[0].code == "P001"


def test_a_value_as_deep_as_may_be_is_taken() -> None:
    assert findings(plan(step("a"), output=nested(60))) == []


def rewoo() -> Rewoo:
    return Rewoo(PlannedSettings())


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", r'"\ud800"', r'{"\udc00": 1}', "[" * 400 + "]" * 400])
def test_a_plan_with_what_cannot_be_stored_is_asked_for_again(value: str) -> None:
    """The model is told, before a call is made of it; in both forms that plans are written in."""
    bad = f'{{"steps": [{{"id": "a", "kind": "tool", "name": "count", "args": {{"x": {value}}}}}]}}'
    model = Model(plan=[bad, {"steps": [tool("a")]}], solve=["42"])
    played = run(rewoo(), model)
    assert model.names == ["plan", "plan", "solve"]
    assert [action.arguments for action in played.started if action.kind == "tool"] == [{}]
    model = Model(plan=[f'1. count({{"x": {value}}})', "1. count()"], join=[{"decision": "finish", "answer": "42"}])
    played = run(Compiler(PlannedSettings()), model)
    assert model.names == ["plan", "plan", "join"]
    assert [action.arguments for action in played.started if action.kind == "tool"] == [{}]


def test_a_plan_with_a_wrong_schema_is_asked_for_again() -> None:
    bad = think("m")
    bad["args"]["output_schema"] = {"type": "object", "properties": 5}
    after = tool("b", "files.read", args={"path": ref("m.result.x")})
    model = Model(plan=[{"steps": [bad, after]}, {"steps": [tool("a")]}])
    run(PlanAndExecute(PlanAndExecuteSettings(observe=False)), model)
    assert model.names == ["plan", "plan"]
    assert "/properties: must be an object" in model.prompt(1)


def test_finish_without_an_answer_ends_with_the_last_result() -> None:
    """The steps that are left are not done."""
    model = Model(plan=[{"steps": [tool("a"), tool("b", "send")]}], observe=[{"decision": "finish"}])
    played = run(PlanAndExecute(PlanAndExecuteSettings()), model)
    assert played.output["text"] == "result of a"
    assert [action.id for action in played.started if action.kind == "tool"] == ["a"]


SECRET = {"type": "string", "x-trusted": True}
COMPOSED: list[tuple[str, dict[str, Any], Any]] = [
    ("$ref", {"properties": {"c": {"$ref": "#/$defs/C"}}, "$defs": {"C": {"properties": {"d": SECRET}}}}, {"d": 0}),
    ("$ref to itself", {"properties": {"c": {"$ref": "#/$defs/C"}}, "$defs": {
        "C": {"properties": {"d": SECRET, "more": {"$ref": "#/$defs/C"}}}}}, {"more": {"more": 0}}),
    ("anyOf", {"properties": {"c": {"anyOf": [SECRET, {"type": "null"}]}}}, 0),
    ("oneOf", {"properties": {"c": {"oneOf": [{"type": "null"}, {"items": SECRET}]}}}, [0]),
    ("allOf", {"allOf": [{"properties": {"c": SECRET}}]}, 0),
    ("additionalProperties", {"additionalProperties": SECRET}, 0),
    ("patternProperties", {"patternProperties": {"^c": SECRET}}, 0),
    ("prefixItems", {"properties": {"c": {"prefixItems": [SECRET]}}}, [0]),
    ("unknown", {"properties": {"c": {"$ref": "other.json"}, "d": SECRET}}, 0),
]  # fmt: skip


def with_reference(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {name: with_reference(item) for name, item in shape.items()}
    return [with_reference(item) for item in shape] if isinstance(shape, list) else ref("a.result")


@pytest.mark.parametrize(("schema", "shape"), [each[1:] for each in COMPOSED], ids=[each[0] for each in COMPOSED])
def test_what_must_be_trusted_is_found_in_composed_schemas(
    schema: Any, shape: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOOLS, "guarded", Tool("guarded", "", {"type": "object", **schema}))
    found = findings(plan(step("a"), step("b", "guarded", args={"c": with_reference(shape)})))
    assert [each.code for each in found] == ["P014"]


def test_what_need_not_be_trusted_is_not_found_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = {"type": "object", "allOf": [{"properties": {"c": SECRET, "d": {"prefixItems": [SECRET, {}]}}}]}
    monkeypatch.setitem(TOOLS, "guarded", Tool("guarded", "", schema))
    args = {"e": ref("a.result"), "d": ["x", ref("a.result")]}
    assert findings(plan(step("a"), step("b", "guarded", args=args))) == []


def test_properties_by_pattern_and_items_by_place_fit() -> None:
    """A closed object may have more properties by pattern, and the first items their own schemas."""
    made = {
        "type": "object", "patternProperties": {"^p": {"type": "string"}}, "additionalProperties": False,
        "properties": {"l": {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}},
    }  # fmt: skip
    for path in ("a.result.path", "a.result.l[0]"):
        assert findings(plan(step("a", returns=made), step("b", "files.read", args={"path": ref(path)}))) == []
    bad = findings(plan(step("a", returns=made), step("b", "files.read", args={"path": ref("a.result.l[1]")})))
    assert [each.code for each in bad] == ["P009"]


def codes(*steps: Any, **fields: Any) -> list[tuple[str, str]]:
    return [(each.code, each.pointer) for each in findings(plan(*steps, **fields))]


def test_defaults_and_what_is_told_of_a_failure_are_checked_too() -> None:
    """A default is a literal; a status and the words of an error are texts."""
    lines = "/steps/1/args/lines"
    for wrong in (ref("a.status"), ref("a.error.message"), ref("a.error.code"), ref("input.n", default="x")):
        assert codes(step("a"), step("b", "files.read", args={"path": "p", "lines": wrong})) == [("P009", lines)]
    good = {"path": ref("a.error.message"), "lines": ref("input.n", default=3)}
    assert codes(step("a", on_error="continue"), step("b", "files.read", args=good)) == []


def test_a_fact_holds_only_if_its_maker_succeeds_for_certain() -> None:
    """It may fail and be passed over, or not run; what needs it does not run then, but a goal is missed."""
    may_fail = step("a", post=["built"], on_error="continue")
    at_times = step("a", post=["built"], when="input.x")
    behind = step("m", needs=["a"])
    user = step("b", pre=["built"], needs=["m"])
    assert codes(may_fail, behind, user) == [("P013", "/steps/2/pre/0")]
    assert codes(at_times, behind, user) == []
    for maker in (may_fail, at_times, step("a", post=["built"], on_error="skip")):
        assert codes(maker, goals=["built"]) == [("P013", "/goals/0")]
    depends = step("c", post=["sent"], needs=["a"])
    assert codes(step("a", when="input.x"), depends, goals=["sent"]) == [("P013", "/goals/0")]
    assert codes(step("a", on_error="continue"), depends, goals=["sent"]) == []


def test_a_step_that_names_a_key_twice_writes_it_once() -> None:
    assert codes(step("a", writes=["k", "k"])) == []
