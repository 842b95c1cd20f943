"""A fitting: whether what one node gives can be what the next one takes, as far as both say it."""

from __future__ import annotations

from agentflow_kernel.contracts.finding import Finding
from agentflow_kernel.flow.annotation import schema_of
from agentflow_kernel.flow.finding import MISMATCH
from agentflow_kernel.flow.fork import Parallel
from agentflow_kernel.flow.node import DEFAULT, END, Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from agentflow_kernel.flow.step import Step

_ANY: Mapping[str, Any] = {}
_TYPES = ("string", "number", "integer", "boolean", "null", "array", "object")


def check_edges(steps: Mapping[str, Step], start: str, input_schema: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Findings about edges on which no value can travel: the types at both ends have nothing in common.

    Known are annotations of plain functions where they are plain JSON types, schemas of agents, of tools' parameters
    and of the input of flows. Everything else fits everything.
    """
    first = steps.get(start)
    if first is not None and input_schema is not None:
        yield from _check("the input of the flow", input_schema, first)
    for step in steps.values():
        gives = _gives(step)
        if gives:
            targets = [target for action, target in step.routes.items() if action == DEFAULT]
            targets += [case.target for case in step.when]
            for target in dict.fromkeys(targets):
                if target != END and target in steps:
                    yield from _check(f"node {step.name!r}", gives, steps[target])


def _check(source: str, gives: Mapping[str, Any], step: Step) -> Iterator[Finding]:
    if step.input is not None or step.each is not None:
        return
    for what, target in _targets(step):
        takes = _takes(target)
        problem = _clash(gives, takes, "") if takes else None
        if problem is not None:
            place, given, taken = problem
            at = f" at {place}" if place else ""
            text = f"{source} gives {given}{at}, but {what} takes {taken}"
            yield Finding(MISMATCH, text, "nodes", step.name)


def _targets(step: Step) -> Iterator[tuple[str, object]]:
    """What a node hands its input to: itself, or its branches."""
    if not isinstance(step.target, Parallel):
        yield f"node {step.name!r}", step.target
        return
    for branch in step.target.steps.values():
        if branch.input is None and branch.each is None:
            yield f"branch {branch.name!r} of node {step.name!r}", branch.target


def _takes(target: object) -> Mapping[str, Any]:
    """The schema of what something takes, an empty one where it does not say."""
    tool = getattr(target, "tool", None)
    if hasattr(target, "perform"):
        return getattr(tool, "parameters", None) or _ANY
    if hasattr(target, "input_schema"):  # a flow
        return target.input_schema or _ANY
    code = _code_of(target)
    if code is None or code.co_argcount < 1:
        return _ANY
    function: Any = target
    return schema_of(function.__annotations__.get(code.co_varnames[0], ""), function.__globals__) or _ANY


def _gives(step: Step) -> Mapping[str, Any]:
    """The schema of a node's result, an empty one where it does not say."""
    target, gives = step.target, _ANY
    if hasattr(target, "perform"):
        gives = getattr(target, "output_schema", None) or _ANY
    elif _code_of(target) is not None:
        function: Any = target
        gives = schema_of(function.__annotations__.get("return", ""), function.__globals__) or _ANY
        if gives == {"type": "null"}:  # what gives nothing may as well never end
            gives = _ANY
    if step.each is not None:
        return {"type": "array", "items": gives}
    return {"type": "object"} if isinstance(target, Parallel) else gives


def _code_of(target: object) -> Any:
    """The code of a plain function, ``None`` of anything else."""
    if isinstance(target, (type, Node)) or hasattr(target, "__wrapped__") or hasattr(target, "__self__"):
        return None
    return getattr(target, "__code__", None)


def _clash(gives: Any, takes: Any, place: str) -> tuple[str, str, str] | None:
    """Place and names of types where no value can fit both schemas; ``None`` where one may."""
    mine, theirs = _types(gives), _types(takes)
    if not mine & theirs:
        return place, _named(mine), _named(theirs)
    if mine == theirs == {"array"}:
        return _clash(gives.get("items", _ANY), takes.get("items", _ANY), f"{place}/*")
    if mine == theirs == {"object"}:
        given, taken = gives.get("properties", _ANY), takes.get("properties", _ANY)
        for name in given:
            needed = name in gives.get("required", ()) or name in takes.get("required", ())
            problem = _clash(given[name], taken[name], f"{place}/{name}") if needed and name in taken else None
            if problem is not None:
                return problem
        for name in takes.get("required", ()) if gives.get("additionalProperties") is False else ():
            if name not in given:
                return place, f"an object without {name!r}", f"one with {name!r}"
    return None


def _types(schema: Any) -> set[str]:
    """The types a schema allows, as far as it says it simply; an integer is a number."""
    if not isinstance(schema, dict):
        return set(_TYPES)
    if "anyOf" in schema:
        return set().union(*(_types(part) for part in schema["anyOf"]))
    named = schema.get("type", _TYPES)
    found = {named} if isinstance(named, str) else set(named)
    return found | ({"integer", "number"} if found & {"integer", "number"} else set())


def _named(types: set[str]) -> str:
    return " or ".join(name for name in _TYPES if name in types and not (name == "integer" and "number" in types))
