"""Arguments: that what a step gives fits what its tool takes, as literals (P004) and as results of others (P009)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.schema import find_problems
from agentflow_planner_llm.plan.finding import ARGUMENTS, MISMATCH, suggest
from agentflow_planner_llm.plan.fitting import make_fit
from agentflow_planner_llm.plan.schemas import (
    ARGUMENTS_OF,
    follow_path,
    mismatch,
    properties_of,
    required_of,
    result_schema,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.plan.fitting import Fit
    from agentflow_planner_llm.plan.graph import Graph
    from agentflow_planner_llm.plan.reference import Reference
    from agentflow_planner_llm.plan.scope import Scope

    Object: TypeAlias = Mapping[str, JSON]
    Places: TypeAlias = Mapping[str, int]
    Where: TypeAlias = tuple[str | int, ...]


def check_arguments(graph: Graph, scope: Scope, places: Places, found: list[PlanFinding]) -> None:
    """P004 and P009 for every step."""
    parts: dict[int, Object] = {}
    fits: dict[int, Fit] = {}
    faulty = {number for number, _, _ in graph.faults}
    for number, step in enumerate(graph.steps):
        schema: Object | None
        if step.kind == "tool":
            tool = scope.tools.get(step.name)
            schema = None if tool is None else tool.parameters
        else:
            schema = ARGUMENTS_OF.get(step.kind)
        if schema is None:
            continue
        fit = fits.get(id(schema))
        if fit is None:
            fit = fits[id(schema)] = make_fit(schema)
        if not fit(step.args) or number in faulty:
            _check_literals(graph, number, schema, ("steps", places[step.id], "args"), parts, found)
        for reference in graph.references[number]:
            _check_reference(graph, scope, number, reference, (schema, places, found))


def _check_literals(
    graph: Graph, number: int, schema: Object, where: Where, parts: dict[int, Object], found: list[PlanFinding]
) -> None:
    """P004 for one step."""
    step = graph.steps[number]
    problems: list[tuple[Where, str]] = []
    references = graph.references[number]
    if references:
        inside = [reference.where for reference in references]
        _Partly(parts, problems).check(cast("JSON", step.args), schema, where, inside)
    elif step.args or "required" in schema:
        problems = [_split(problem, where) for problem in find_problems(cast("JSON", step.args), schema)]
    for place, problem in problems:
        properties = properties_of(schema)
        name = str(place[len(where)]) if len(place) > len(where) else ""
        advice = suggest(name, properties) if name and name not in properties else ""
        text = f"Step {step.id!r}: invalid arguments for {step.name or step.kind!r}: {problem}."
        found.append(PlanFinding(ARGUMENTS, text, *place, step=step.id, suggestion=advice))


class _Partly:
    """A check of what is literal in a value; references fit anywhere.

    ``parts`` keeps, for each schema, the rules that hold for each property by itself, so that they can be checked
    without those that a reference fills.
    """

    __slots__ = ("parts", "problems")

    def __init__(self, parts: dict[int, Object], problems: list[tuple[Where, str]]) -> None:
        self.parts = parts
        self.problems = problems

    def check(self, value: JSON, schema: JSON, where: Where, inside: Sequence[Where]) -> None:
        """Check a value in which references stand at the places ``inside``, at least one."""
        if not isinstance(schema, Mapping) or () in inside:
            return
        if value.__class__ is list:
            items = schema.get("items")
            for index, item in enumerate(cast("list[JSON]", value)):
                below = [each[1:] for each in inside if each[0] == index]
                if below:
                    self.check(item, items, (*where, index), below)
                elif isinstance(items, Mapping):
                    self._note(item, items, (*where, index))
            return
        fields = cast("dict[str, JSON]", value)
        filled = {each[0] for each in inside}
        properties = properties_of(schema)
        for name in filled:
            if name in properties:
                below = [each[1:] for each in inside if each[0] == name]
                if () not in below:
                    self.check(fields[cast("str", name)], properties[cast("str", name)], (*where, name), below)
            elif schema.get("additionalProperties") is False and not schema.get("patternProperties"):
                self.problems.append(((*where, name), f"/{name}: there is no such property"))
        for name in required_of(schema):
            if name not in fields:
                self.problems.append(((*where, name), f"/{name}: is required but missing"))
        if len(filled) < len(fields):
            rules = self.parts.get(id(schema))
            if rules is None:
                rules = {keyword: rule for keyword, rule in schema.items() if keyword in _PARTS_OF_OBJECTS}
                self.parts[id(schema)] = rules
            self._note({name: item for name, item in fields.items() if name not in filled}, rules, where)

    def _note(self, value: JSON, schema: Object, where: Where) -> None:
        for problem in find_problems(value, schema):
            self.problems.append(_split(problem, where))


_PARTS_OF_OBJECTS = ("type", "properties", "additionalProperties", "patternProperties", "propertyNames", "$defs")


def _split(problem: str, where: Where) -> tuple[Where, str]:
    """The place and the sentence of a problem, which begins with a JSON pointer."""
    pointer = problem.partition(":")[0]
    if not pointer.startswith("/"):
        return where, problem
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]
    return (*where, *parts), problem


def _check_reference(
    graph: Graph, scope: Scope, number: int, reference: Reference, about: tuple[Object, Places, list[PlanFinding]]
) -> None:
    """P009: what the referenced step gives against what the parameter takes."""
    schema, places, found = about
    step = graph.steps[number]
    target = graph.index.get(reference.root)
    produced: Object | None = None
    if target is not None:
        produced = _TOLD.get(str(reference.path[0])) or result_schema(graph.steps[target], scope.tools)
    if produced is None and not reference.tolerant:
        return
    where: Where = ("steps", places[step.id], "args", *reference.where)
    wanted = follow_path(schema, reference.where)[0]
    if reference.tolerant and wanted is not None and "$ref" not in str(wanted):  # which is of the whole schema
        for fault in find_problems(_default_of(cast("JSON", step.args), reference.where), wanted):
            text = f"Step {step.id!r}: the default of {reference.text!r} does not fit: {fault}."
            found.append(PlanFinding(MISMATCH, text, *where, step=step.id))
    if produced is None:
        return
    given, problem = follow_path(produced, reference.path[1:])
    if problem is None and given is not None and wanted is not None:
        problem = mismatch(given, wanted)
    if problem is not None and not (reference.tolerant and given is None):
        text = f"Step {step.id!r} uses {reference.text!r} where it does not fit: {problem}."
        found.append(PlanFinding(MISMATCH, text, *where, step=step.id))


def _default_of(args: JSON, where: Where) -> JSON:
    """What stands in the arguments for a reference that leads nowhere."""
    at: Any = args
    for part in where:
        at = at[part]
    return cast("JSON", at["default"])


_TOLD: Mapping[str, Object] = {
    "status": {"type": "string"},
    "error": {"type": "object", "properties": {"code": {"type": "string"}, "message": {"type": "string"}}},
}
"""The schemas of what a reference may ask of any step beside its result."""
