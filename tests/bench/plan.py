"""Plans: checking and optimising one of a thousand steps, beside reading its text as JSON."""

from __future__ import annotations

import gc
import json
import random
import time
from typing import Any

from table import Row

from agentflow_kernel.contracts.tool import Tool
from agentflow_planner_llm.execution.program import Program
from agentflow_planner_llm.optimisation import PASSES, optimise
from agentflow_planner_llm.plan import Scope, check_plan

PATH: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "more": {}},
    "required": ["path"],
    "additionalProperties": False,
}
TOOLS = {
    "files.read": Tool("read", "", PATH, effect="pure"),
    "files.write": Tool("write", "", {"type": "object", "required": ["path"]}),
}


def rows(*, steps: int, runs: int) -> list[Row]:
    """One row: the 95th percentile of check and optimisation together, in time of this process.

    Each round begins with nothing left over from the one before; what the garbage collector does in it counts.
    """
    document = random_document(steps)
    text = json.dumps(document)
    times, floors = [], []
    for _ in range(runs):
        gc.collect()
        start = time.process_time()
        json.loads(text)
        floors.append((time.process_time() - start) * 1e3)
        gc.collect()
        start = time.process_time()
        graph, found = check_plan(document, Scope(TOOLS))
        program = optimise(Program(graph, TOOLS), PASSES, ["files.read"])
        times.append((time.process_time() - start) * 1e3)
        if found:
            raise RuntimeError(f"The plan has findings: {found[0]}")
        del graph, program
    times.sort()
    value = times[int(0.95 * len(times))]
    floor = sorted(floors)[len(floors) // 2]
    note = f"json.loads of its text {floor:.1f} ms; best {times[0]:.1f} ms, median {times[len(times) // 2]:.1f} ms"
    return [
        Row(f"plan of {steps:,} steps, checked and optimised, p95", value, "ms", note, None, "<= 20 ms", value <= 20)
    ]


def random_document(steps: int) -> dict[str, Any]:
    """Reads and writes that refer to earlier ones, some with needs and conditions; the same each time."""
    chance = random.Random(1)
    documents: list[dict[str, Any]] = []
    for number in range(steps):
        near = f"s{chance.randrange(max(0, number - 20), number or 1)}"
        args: dict[str, Any] = {"path": f"{number % 300}.txt"}
        step: dict[str, Any] = {"id": f"s{number}", "kind": "tool", "name": "files.read", "args": args}
        if number % 7 == 3:
            step["name"] = "files.write"
            args["text"] = {"$ref": f"{near}.result.text"}
        elif number % 3 == 1:
            args["more"] = [{"$ref": f"{near}.result"}]
        if number % 5 == 4:
            step["needs"] = [f"s{chance.randrange(number)}"]
        if number % 20 == 19:
            step["when"] = f'{near}.status == "done"'
        documents.append(step)
    return {"steps": documents}
