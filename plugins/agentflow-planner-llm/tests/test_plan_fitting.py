"""The quick look at arguments: what it takes the full check takes too, and it takes what is commonly right."""

from __future__ import annotations

import random
from typing import Any

import pytest
from plans import ref

from agentflow_kernel.schema import find_problems
from agentflow_planner_llm.plan.fitting import make_fit

TEXT = {"type": "string", "description": "A text.", "x-trusted": True}
FILE = {
    "type": "object",
    "properties": {
        "path": TEXT,
        "lines": {"type": ["integer", "null"], "minimum": 1},
        "tags": {"items": TEXT, "type": "array"},
    },
    "required": ["path"],
    "additionalProperties": False,
}  # fmt: skip
COMPOSED = {
    "$defs": {"file": FILE},
    "properties": {"file": {"$ref": "#/$defs/file"}, "n": {"anyOf": [{"type": "number"}, {"const": "all"}]}},
    "additionalProperties": {"type": "boolean"},
}
ODD: dict[str, Any] = {"type": "object", "properties": {"a": False, "b": True, "c": {"type": "whole"}}, "required": 5}


def random_value(chance: random.Random, depth: int = 3) -> Any:
    kind = chance.randrange(9 if depth else 6)
    if kind < 6:
        return [None, True, 3, 2.0, "x", "all"][kind]
    if kind == 6:
        return [random_value(chance, depth - 1) for _ in range(chance.randrange(3))]
    names = chance.sample(["path", "lines", "tags", "file", "n", "a", "b", "c"], chance.randrange(4))
    return {name: random_value(chance, depth - 1) for name in names}


@pytest.mark.parametrize("schema", [FILE, COMPOSED, ODD, {}], ids=["plain", "composed", "odd", "empty"])
def test_what_surely_fits_has_no_problems(schema: Any) -> None:
    chance, fits, taken = random.Random(1), make_fit(schema), 0
    for _ in range(1_500):
        value = random_value(chance)
        if fits(value):
            taken += 1
            assert find_problems(value, schema) == [], value
    assert taken or schema is ODD


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"path": "a", "lines": 3, "tags": ["x"]}, True),
        ({"path": ref("a.result"), "lines": ref("a.result"), "tags": [ref("a.result"), "x"]}, True),
        (ref("a.result"), True),
        ({"lines": ref("a.result")}, False),
        ({"path": "a", "more": ref("a.result")}, False),
        ({"path": "a", "tags": [ref("a.result"), 3]}, False),
        ({"path": ["a", ref("a.result")]}, False),
    ],
)
def test_a_reference_fits_anywhere_but_needs_its_place(args: Any, expected: bool) -> None:
    assert make_fit(FILE)(args) is expected
