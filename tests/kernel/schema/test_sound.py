"""A schema that is none, or is misspelt, is found where it is given, before a value comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow_kernel import Agent, Flow, StateKey
from agentflow_kernel.errors import FlowInvalid, ManifestErrors, UsageError
from agentflow_kernel.flow import Branch
from agentflow_kernel.flow.asking import Ask
from agentflow_kernel.manifest import read
from agentflow_kernel.plan import Plan
from agentflow_kernel.schema import find_problems, find_schema_problems
from agentflow_kernel.testing import ScriptedProvider

if TYPE_CHECKING:
    from pathlib import Path

SLIP = {"type": "object", "propertis": {}}


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ([], "the whole schema: a JSON Schema is an object, true or false, not []"),
        ({"type": "strin"}, "/type: 'strin' is no type (did you mean 'string'?), expected object, array, string"),
        ({"type": ["string", None]}, "/type: None is no type, expected"),
        (SLIP, "/propertis: is no word of JSON Schema (did you mean 'properties'?); one of your own begins with 'x-'"),
        ({"properties": {"a/b": {"typ": "string"}}}, "/properties/a~1b/typ: is no word of JSON Schema"),
        ({"properties": ["a"]}, "/properties: must be an object of schemas, not ['a']"),
        ({"required": "name"}, "/required: must be a list of names, not 'name'"),
        ({"anyOf": []}, "/anyOf: must be a list of schemas with at least one, not []"),
        ({"items": [{}]}, "/items: must be one schema for all items; 'prefixItems' takes a list"),
        ({"minLength": "3"}, "/minLength: must be a whole number of at least 0, not '3'"),
        ({"minimum": 0, "exclusiveMinimum": True}, "/exclusiveMinimum: must be a number, not True"),
        ({"multipleOf": 0}, "/multipleOf: must be a number above 0, not 0"),
        ({"pattern": "(a"}, "/pattern: '(a' is no regular expression: missing )"),
        ({"patternProperties": {"[": {}}}, "/patternProperties: '[' is no regular expression: unterminated"),
        ({"items": {"$ref": "#/$defs/itm"}, "$defs": {"item": {}}}, "/items/$ref: '#/$defs/itm' leads nowhere"),
    ],
)
def test_a_slip_is_named_with_its_place_and_what_was_expected(schema: Any, problem: str) -> None:
    (found,) = find_schema_problems(schema)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"title": "T", "x-unit": "s", "nullable": True, "example": 1, "owner": "ada", "note": "n", "titles": []},
        {"properties": {"type": {"type": "string"}, "$ref": {}, "propertis": {}}},
        {"$ref": "#/$defs/a%20b", "$defs": {"a b": {"items": {"$ref": "#"}}}},
        {"$ref": "https://example.org/schema"},
        {"minItems": 2.0, "enum": [], "const": object},
        {"pattern": r"^\p{Lu}(?<rest>\w*)$", "patternProperties": {r"\cA": True}},
    ],
)
def test_what_says_what_it_means_is_sound(schema: Any) -> None:
    """Words of one's own, words of OpenAPI, names of properties that look like words, other documents."""
    assert find_schema_problems(schema) == []


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[\w-.]+$", r"[\d-x]", "[^]", "[]", "[](]a)", "(?<=a+)b", "(?<!ab*)c", r"\2(a)(b)", "{,5}", r"\Z*",
        "a{99999999999}", "(" * 2000 + ")" * 2000, "[[a]", "[^[-a]", "[a&&b||c~~d]", "[+--]", r"[\]--a]", "[]--a]",
    ],
)  # fmt: skip
def test_a_pattern_of_ecmascript_is_sound_and_warns_of_nothing(pattern: str) -> None:
    """What Python cannot read refuses nothing, neither the schema nor a value."""
    assert find_schema_problems({"pattern": pattern}) == []
    assert find_problems("]a-", {"pattern": pattern}) == []


@pytest.mark.parametrize(
    "pattern",
    ["(a", "a)", "[a", "*a", "^*", "a**", "a{2}{3}", "a{3,2}", "[a-Z]", "[[a-Z]", "[[a", "[a&&b", "(?:[[a]"],
)
def test_a_pattern_that_is_none_in_ecmascript_either_is_refused(pattern: str) -> None:
    (found,) = find_schema_problems({"pattern": pattern})
    assert "is no regular expression" in found


@pytest.mark.parametrize(("text", "fits"), [("[&~|+,-", True), ("a", False), ("\\", False), ("&+]", False)])
def test_a_set_that_python_doubts_means_what_it_says(text: str, fits: bool) -> None:
    assert (find_problems(text, {"pattern": "^[[&&~~||+--]+$"}) == []) is fits


def test_a_schema_that_holds_itself_is_no_schema() -> None:
    schema: dict[str, Any] = {}
    schema["items"] = schema
    assert find_schema_problems(schema) == ["the whole schema: is nested too deeply, or holds itself"]


def test_a_sound_schema_is_looked_at_once() -> None:
    """What is given with each call costs nothing after the first; another object of the same kind is looked at."""
    looked = 0

    class Counting(dict[str, Any]):
        def items(self) -> Any:
            nonlocal looked
            looked += 1
            return super().items()

    schema = Counting(type="string")
    assert find_schema_problems(schema) == find_schema_problems(schema) == []
    assert looked == 1
    for _ in range(300):  # more than are kept in mind
        assert find_schema_problems({"type": "string"}) == []
    assert find_schema_problems(schema) == []
    assert looked == 2


WORDS = (
    "type",
    "enum",
    "required",
    "items",
    "anyOf",
    "properties",
    "minLength",
    "maximum",
    "multipleOf",
    "uniqueItems",
)
rules = st.one_of(
    st.booleans(),
    st.sampled_from([0, 2, 2.5, -1, None, "string", "a", [], ["a"], ["string", "null"], {}, {"a": {}}, [{}], [True]]),
)
schemas = st.recursive(
    st.dictionaries(st.sampled_from(WORDS), rules, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from(("not", "items", "if", "additionalProperties")), inner, max_size=2),
    max_leaves=3,
)


@given(schema=schemas)
def test_what_the_standard_refuses_is_refused_and_nothing_else(schema: Any) -> None:
    """The meta schema of JSON Schema gives the same verdict; misspelt words and references are beside it."""
    validator = jsonschema.Draft202012Validator(jsonschema.Draft202012Validator.META_SCHEMA)
    assert (find_schema_problems(schema) == []) is validator.is_valid(schema)


@pytest.mark.parametrize(
    ("flow", "problem"),
    [
        (Flow("f").takes(SLIP).step(len), "its input_schema is no sound JSON Schema: /propertis"),
        (Flow("f").keeps(schema=SLIP).step(len), "its state_schema is no sound JSON Schema"),
        (Flow("f").keeps(StateKey("k", schema=SLIP)).step(len), "state key 'k': its schema is no sound"),
        (Flow("f").wait("go", schema=SLIP), "node 'wait': schema is no sound"),
        (Flow("f").ask("Go?", schema=SLIP), "node 'ask': schema is no sound"),
        (Flow("f").parallel({"a": Branch(Ask("Go?", schema=SLIP)), "b": len}), "branch 'a': schema is no sound"),
    ],
)
def test_a_flow_is_refused_before_it_runs(flow: Flow, problem: str) -> None:
    with pytest.raises(FlowInvalid) as error:
        flow.check()
    (finding,) = error.value.findings
    assert problem in str(finding)


def test_agents_and_plans_refuse_it_when_they_are_made() -> None:
    planner: Any = type("Reads", (), {"read": None})()
    with pytest.raises(UsageError, match=r"Agent 'a': output_schema is no sound JSON Schema: /propertis"):
        Agent("a", ScriptedProvider([]), planner, output_schema=SLIP)
    with pytest.raises(UsageError, match=r"Plan 'p': input_schema is no sound JSON Schema: /propertis"):
        Plan("p", planner, {}, input_schema=SLIP)


def test_a_manifest_is_refused_at_the_line_of_the_schema(tmp_path: Path) -> None:
    """Once each, wherever it stands."""
    (tmp_path / "flow.yaml").write_text("""\
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: f}
spec:
  input_schema: {type: object, properties: {a: {type: strin}}}
  state: {count: {schema: {type: integre}}}
  nodes:
    a: {wait: {signal: go, schema: {typ: object}}}
""")
    with pytest.raises(ManifestErrors) as errors:
        read(str(tmp_path / "flow.yaml"))
    assert [(error.line, error.path) for error in errors.value.findings] == [
        (5, "spec.input_schema"),
        (6, "spec.state.count.schema"),
        (8, "spec.nodes.a.wait.schema"),
    ]
