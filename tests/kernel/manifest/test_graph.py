"""The graph of one flow: routes, reachability and references to data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.manifest import Manifest

FLOW = "apiVersion: agentflow.dev/v1\nkind: Flow\nmetadata: {name: f}\nspec:\n  nodes:\n"
NODES = "'group', 'parse'"
ROOTS = "'input', 'item', 'event' and 'state'"


def nodes(*lines: str) -> str:
    return FLOW + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        (
            nodes("parse: {emit: x, next: grop}", "group: {emit: y, next: parse}"),
            [
                f"m.yaml:6:28: spec.nodes.parse.next: Unknown node 'grop'. Nodes: {NODES}. Did you mean 'group'?",
                (
                    "m.yaml:7:5: spec.nodes.group: Node 'group' cannot be reached from 'parse'. "
                    "A node without 'next' and 'routes' ends the flow: name this one in one of them, or remove it."
                ),
            ],
        ),
        (
            nodes("parse: {emit: x, routes: {on: group, bad: alarm, done: null}}", "group: {emit: y}"),
            [f"m.yaml:6:47: spec.nodes.parse.routes.bad: Unknown node 'alarm'. Nodes: {NODES}."],
        ),
        (
            nodes("parse: {emit: x, next: group, routes: {a: null}}", "group: {emit: y}"),
            ["m.yaml:6:35: spec.nodes.parse: Expected at most one of 'next' or 'routes', found 'next' and 'routes'."],
        ),
        (
            nodes("parse: {emit: x, routes: {}}"),
            [
                (
                    "m.yaml:6:30: spec.nodes.parse.routes: Expected a mapping from actions to names of nodes, "
                    "or to null for the end, found an empty mapping."
                )
            ],
        ),
        (
            nodes("parse: {emit: x, routes: {a: 1}}"),
            [
                (
                    "m.yaml:6:34: spec.nodes.parse.routes.a: Expected the name of a node or null for the end, "
                    "found the number 1."
                )
            ],
        ),
        (
            nodes("parse: {emit: x}", "group: {emit: y}") + "  start: groop\n",
            [f"m.yaml:8:10: spec.start: Unknown node 'groop'. Nodes: {NODES}. Did you mean 'group'?"],
        ),
        (
            nodes("parse: {}", "group: {emit: y, agent: z, next: parse}"),
            [
                (
                    "m.yaml:6:12: spec.nodes.parse: "
                    "Expected exactly one of 'uses', 'agent', 'flow', 'plan', 'tool', 'emit', 'ask', 'wait' "
                    "or 'parallel', "
                    "found none of them."
                ),
                (
                    "m.yaml:7:22: spec.nodes.group: "
                    "Expected exactly one of 'uses', 'agent', 'flow', 'plan', 'tool', 'emit', 'ask', 'wait' "
                    "or 'parallel', "
                    "found 'emit' and 'agent'."
                ),
                "m.yaml:7:29: spec.nodes.group.agent: Unknown Agent 'z'. Known: none. Add a resource of kind Agent.",
            ],
        ),
        (
            nodes("item: {emit: x, next: a.b}", "a.b: {emit: y}"),
            [
                f"m.yaml:{line}:5: spec.nodes{path}: Expected a name: letters, digits, '-' and '_', at most 63, "
                "beginning with a letter or digit, but not 'input', 'item', 'event' or 'state'."
                for line, path in ((6, ".item"), (7, '["a.b"]'))
            ],
        ),
        (
            nodes("parse: {emit: x, concurrency: 1001, batch_size: 1, on_item_error: skip}"),
            [
                (
                    "m.yaml:6:22: spec.nodes.parse.concurrency: "
                    "Field 'concurrency' has no meaning without 'each' or 'fan_out'."
                ),
                (
                    "m.yaml:6:35: spec.nodes.parse.concurrency: Expected a whole number from 1 to 1,000, "
                    "found the number 1001."
                ),
                "m.yaml:6:41: spec.nodes.parse.batch_size: Field 'batch_size' has no meaning without 'each'.",
                (
                    "m.yaml:6:56: spec.nodes.parse.on_item_error: "
                    "Field 'on_item_error' has no meaning without 'each' or 'fan_out'."
                ),
            ],
        ),
        (
            nodes("parse: {emit: x, effect: pur, blocking: proces, each: 3}"),
            [
                (
                    "m.yaml:6:30: spec.nodes.parse.effect: Expected 'pure', 'idempotent' or 'effect', "
                    "found the string 'pur'. Did you mean 'pure'?"
                ),
                "m.yaml:6:45: spec.nodes.parse.blocking: Expected 'thread' or 'inline', found the string 'proces'.",
                (
                    'm.yaml:6:59: spec.nodes.parse.each: Expected a reference such as {"$ref": "parse.result"}, '
                    "or a list, found the number 3."
                ),
            ],
        ),
    ],
)
def test_nodes_that_are_wrong(findings_of: Callable[..., list[str]], text: str, findings: list[str]) -> None:
    """Routes, kinds of nodes and their fields; what follows from another finding is not reported."""
    assert findings_of(text) == findings


def test_nodes_may_loop_and_end(manifest_of: Callable[..., Manifest]) -> None:
    """A route may lead back; a flow may start anywhere."""
    text = (
        nodes("b: {emit: y, when: [{if: has(input), next: a}, {next: null}]}", "a: {emit: x, next: b}") + "  start: a\n"
    )
    assert manifest_of(text).resources[0].spec["start"] == "a"


def test_every_place_may_refer_to_data(manifest_of: Callable[..., Manifest]) -> None:
    """References stand anywhere in an input; schemas and settings have a ``$ref`` of their own."""
    text = nodes(
        "parse: {emit: x, each: {$ref: input.lines}, input: [{$ref: item}, {a: {$ref: event.data}}], next: group}",
        "group: {emit: x, each: [1, {$ref: parse.result}], input: {$ref: 'parse.result.a b[-1].c'}}",
    )
    text += "  output: {a: {$ref: group.result}, b: 1}\n  display: {$ref: input}\n"
    text += "  input_schema: {$ref: '#/$defs/x', $defs: {x: {}}}\n"
    (flow,) = manifest_of(text).resources
    assert flow.spec["nodes"]["parse"]["input"] == [{"$ref": "item"}, {"a": {"$ref": "event.data"}}]
    assert flow.spec["input_schema"] == {"$ref": "#/$defs/x", "$defs": {"x": {}}}


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        (
            "{$ref: prase.result}",
            (
                f"21: spec.nodes.group.input.$ref: Unknown value 'prase'. Known: {ROOTS}, and the nodes {NODES}. "
                "Did you mean 'parse'?"
            ),
        ),
        (
            "{$ref: inptu.x}",
            (
                f"21: spec.nodes.group.input.$ref: Unknown value 'inptu'. Known: {ROOTS}, and the nodes {NODES}. "
                "Did you mean 'input'?"
            ),
        ),
        (
            "{$ref: parse.items}",
            (
                "21: spec.nodes.group.input.$ref: A node has 'result', found 'parse.items'. "
                "Did you mean 'parse.result.items'?"
            ),
        ),
        (
            "{$ref: parse}",
            "21: spec.nodes.group.input.$ref: A node has 'result', found 'parse'. Did you mean 'parse.result'?",
        ),
        (
            "{$ref: item}",
            "21: spec.nodes.group.input.$ref: 'item' is known only in the 'input' of a node that has 'each'.",
        ),
        (
            "{$ref: 'parse.result[x]'}",
            (
                "21: spec.nodes.group.input.$ref: Malformed reference: character 13 of 'parse.result[x]' is neither "
                "'.name', '[0]' nor '[\"key\"]'."
            ),
        ),
        (
            "{$ref: 'parse.result[\"a.b\"]'}",
            "21: spec.nodes.group.input.$ref: Malformed reference: a key in quotes cannot be referred to.",
        ),
        (
            "{$ref: 7}",
            (
                "21: spec.nodes.group.input.$ref: Expected the path of a value, such as 'parse.result.items[0]', "
                "found the number 7."
            ),
        ),
        (
            "{$ref: parse.result, also: 1}",
            "35: spec.nodes.group.input.also: An object with '$ref' has no other fields.",
        ),
    ],
)
def test_references_to_no_data(findings_of: Callable[..., list[str]], value: str, finding: str) -> None:
    """A reference begins at a node's result, the input, the item or the event."""
    text = nodes("parse: {emit: x, next: group}", "group:", "  emit: x", f"  input: {value}")
    assert findings_of(text) == [f"m.yaml:9:{finding}"]


def test_an_item_is_known_only_within_its_node(findings_of: Callable[..., list[str]]) -> None:
    """Neither the list itself nor the flow's output has an item."""
    text = nodes("parse: {emit: x, each: {$ref: item}, input: {$ref: item}}") + "  output: {$ref: item}\n"
    problem = "'item' is known only in the 'input' of a node that has 'each'."
    assert findings_of(text) == [
        f"m.yaml:6:35: spec.nodes.parse.each.$ref: {problem}",
        f"m.yaml:7:18: spec.output.$ref: {problem}",
    ]


def test_a_display_is_a_reference(findings_of: Callable[..., list[str]]) -> None:
    """A constant text for people would be a mistake."""
    assert findings_of(nodes("parse: {emit: x}") + "  display: parse.result\n") == [
        (
            'm.yaml:7:12: spec.display: Expected a reference such as {"$ref": "parse.result"}, '
            "found the string 'parse.result'."
        )
    ]


def test_a_trigger_knows_only_its_event(findings_of: Callable[..., list[str]]) -> None:
    """The input of what it starts comes from the event."""
    trigger = (
        "---\napiVersion: agentflow.dev/v1\nkind: Trigger\nmetadata: {name: t}\n"
        "spec: {on: 'a.*', start: flow/f, key: {$ref: event.id}, input: [{$ref: event.data}, {$ref: input.x}]}\n"
    )
    assert findings_of(nodes("parse: {emit: x}") + trigger) == [
        "m.yaml:11:92: spec.input[1].$ref: Unknown value 'input.x'. Known here: 'event', such as 'event.data'."
    ]
