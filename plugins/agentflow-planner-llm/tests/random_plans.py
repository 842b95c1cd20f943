"""Random plans and a small world of scripted tools in which they are followed."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from agentflow_kernel.contracts.tool import Tool

if TYPE_CHECKING:
    import random

    from agentflow_kernel.contracts.planner import Action

ANY: dict[str, Any] = {"type": "object"}
WORLD_TOOLS = {
    "add": Tool("add", "Adds numbers", ANY, effect="pure"),
    "look": Tool(
        "look", "Looks at a cell",
        {**ANY, "x-batch": {"tool": "look_many", "parameter": "cell", "list": "cells"}}, effect="pure",
    ),
    "look_many": Tool("look_many", "Looks at cells", ANY, effect="pure"),
    "put": Tool("put", "Puts a number into a cell", ANY, effect="idempotent"),
    "push": Tool("push", "Adds to a cell", ANY),
    "fail": Tool("fail", "Always fails", ANY, effect="pure"),
}  # fmt: skip
CELLS = "abc"


class World:
    """Cells with numbers, and every change in its order."""

    def __init__(self) -> None:
        self.cells: dict[str, Any] = dict.fromkeys(CELLS, 1)
        self.changes: list[Any] = []
        self.calls = 0

    def perform(self, action: Action) -> Any:
        """What the tool of an action gives."""
        from dag_driver import Failure

        given: Any = copy.deepcopy(action.arguments)
        self.calls += 1
        match action.name:
            case "add":
                return sum(value for value in given["values"] if isinstance(value, int)) % 1_000_003 + 1
            case "look":
                return self.cells.get(given["cell"], 0)
            case "look_many":
                return [self.cells.get(cell, 0) for cell in given["cells"]]
            case "put":
                self.cells[given["cell"]] = given["value"]
            case "push":
                old = self.cells.get(given["cell"], 0)
                self.cells[given["cell"]] = (old if isinstance(old, int) else 0) * 3 + 1
                self.changes.append(["push", given["cell"]])
            case _:
                return Failure("as it always does")
        return given.get("value", 0)


def random_plan(chance: random.Random, *, linear: bool, failing: bool = False, looping: bool = False) -> dict[str, Any]:
    """A plan without faults whose result does not depend on which of the steps that may run first does.

    In linear form all steps share three cells. In graph form a cell has one writer, and who looks at it needs that.
    """
    steps: list[dict[str, Any]] = []
    count = chance.randint(2, 14)
    skippable: set[str] = set()
    for number in range(count):
        name = f"s{number}"
        step: dict[str, Any] = {"id": name, "kind": "tool"}
        earlier = [each["id"] for each in steps]
        few = chance.sample(earlier, min(len(earlier), chance.randint(0, 2)))
        _choose_call(chance, step, steps, linear=linear)
        if step["name"] == "add":
            step["args"]["values"] += [_reference(each, chance, skippable) for each in few]
        elif few and chance.random() < 0.5:
            step["needs"] = sorted(set(step.get("needs", [])) | {chance.choice(few)})
        if few and chance.random() < 0.15:
            step["when"] = f'{few[0]}.status == "done" and default({few[0]}.result, 0) != 1'
        if failing and chance.random() < 0.15 and step["name"] in {"add", "look"}:
            step |= {"name": "fail", "args": {"n": number}, "on_error": chance.choice(["skip", "continue", "fail"])}
        if chance.random() < 0.2:
            step["writes"] = ["total"]
        steps.append(step)
        skippable.add(name)
    if looping:
        _add_loop(chance, steps)
    document: dict[str, Any] = {"steps": steps, "state": {"total": {"initial": [], "reducer": "append"}}}
    if linear:
        document["form"] = "linear"
    shown = chance.sample([step["id"] for step in steps], chance.randint(1, count))
    if chance.random() < 0.7:
        document["output"] = {name: {"$ref": f"{name}.result", "default": None} for name in shown}
        document["output"]["total"] = {"$ref": "state.total"}
    return document


def _add_loop(chance: random.Random, steps: list[dict[str, Any]]) -> None:
    """Let a step that uses an earlier one go back to it, at most twice."""
    pairs = [
        (step, value["$ref"].partition(".")[0])
        for step in steps
        for value in step["args"].get("values", ())
        if isinstance(value, dict) and "default" not in value
    ]
    if pairs:
        step, target = chance.choice(pairs)
        step["routes"] = [{"to": target, "when": "result % 3 != 0", "max": 2}]


def _reference(name: str, chance: random.Random, skippable: set[str]) -> dict[str, Any]:
    if name in skippable and chance.random() < 0.6:
        return {"$ref": f"{name}.result", "default": 7}
    return {"$ref": f"{name}.result"}


def _choose_call(chance: random.Random, step: dict[str, Any], steps: list[dict[str, Any]], *, linear: bool) -> None:
    """Give a step a tool and arguments."""
    kind = chance.choice(["add", "add", "look", "look", "put", "push"])
    cell = chance.choice(CELLS) if linear else step["id"]
    step["name"] = kind
    step["args"] = {"cell": cell}
    if kind == "add":
        step["args"] = {"values": [chance.randint(0, 2)]}
    elif kind == "put":
        step["args"]["value"] = chance.randint(0, 2)
    elif kind == "look" and not linear:
        writers = [each["id"] for each in steps if each["name"] in {"put", "push"}]
        writer = chance.choice(writers) if writers and chance.random() < 0.5 else ""
        step["args"]["cell"] = writer or chance.choice("xyz")
        if writer:
            step["needs"] = [writer]
