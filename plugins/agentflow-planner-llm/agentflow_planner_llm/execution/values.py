"""Values: what steps see of the run, and how what they write is merged into the state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from agentflow_planner_llm.plan.condition import read_condition
from agentflow_planner_llm.plan.document import canonical
from agentflow_planner_llm.plan.reference import fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.execution.state import PlanRun
    from agentflow_planner_llm.plan.step import Step

    Object: TypeAlias = Mapping[str, JSON]


def state_of(run: PlanRun) -> dict[str, JSON]:
    """The state as it is now; concurrent writers of a key are merged in the order of the plan, not of their ends."""
    values = dict(run.base)
    for key, writers in run.written.items():
        position = run.program.position
        declared = run.program.plan.state.get(key)
        reducer = "last" if declared is None or declared.reducer is None else declared.reducer
        for number in sorted(writers, key=position.__getitem__):
            values[key] = reduce(reducer, values.get(key), writers[number])
    return values


def settle_state(run: PlanRun) -> None:
    """Make what was written part of the base: later writes come after it."""
    run.base = state_of(run)
    run.written = {}


def reduce(reducer: str, old: JSON, new: JSON) -> JSON:
    """The value of a key after one more write; raises :class:`TypeError` where the two do not go together."""
    if reducer == "append":
        return [*cast("list[JSON]", _checked(old, list)), new] if old is not None else [new]
    if reducer == "merge":
        return {**cast("Object", _checked(old, Mapping)), **cast("Object", _checked(new, Mapping))} if old else new
    if reducer == "add":
        return _number(old) + _number(new) if old is not None else new
    if reducer == "max":
        return new if old is None or _number(new) > _number(old) else old
    return new


def _number(value: JSON) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value


def _checked(value: JSON, kind: type) -> JSON:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {'list' if kind is list else 'object'}")
    return value


def seen_by(run: PlanRun, names: Iterable[str]) -> dict[str, JSON]:
    """What references and conditions look at, of it what begins with these names: the input, the state, and steps."""
    seen: dict[str, JSON] = {}
    for name in names:
        if name == "input":
            seen[name] = run.input
        elif name == "state":
            seen[name] = state_of(run)
        elif name in run.outcome:
            seen[name] = run.outcome[name]
    return seen


def write(run: PlanRun, number: int, value: JSON) -> str:
    """Write a result to the keys of its step; why it cannot be, or ``""``."""
    keys = run.program.steps[number].writes
    if len(keys) > 1 and not (isinstance(value, dict) and all(key in value for key in keys)):
        return f"it writes {', '.join(keys)}, and its result is no object with all of these"
    before = {key: dict(writers) for key, writers in run.written.items()}
    for key in keys:
        part = cast("Object", value)[key] if len(keys) > 1 else value
        run.written.setdefault(key, {})[number] = part
    try:
        state_of(run)
    except TypeError as error:
        run.written = before
        return f"what it writes cannot be merged into the state: {error}"
    return ""


def holds(run: PlanRun, text: str, result: JSON = None) -> bool:
    """Whether a condition is true now; raises :class:`ExpressionFailed`."""
    condition = read_condition(text)
    seen = seen_by(run, condition.names)
    if "result" in condition.names and "result" not in seen:
        seen["result"] = result
    return condition.test(seen)


def filled(run: PlanRun, number: int) -> Object:
    """The arguments of a step with every reference filled in; raises :class:`InputInvalid`."""
    references = run.program.graph.references[number]
    given = cast("JSON", run.program.steps[number].args)
    return cast("Object", fill(given, seen_by(run, {each.root for each in references})) if references else given)


def name_call(step: Step, arguments: Object) -> str:
    """A call as text, the same for the same call."""
    return f"{step.kind} {step.name} {canonical(cast('JSON', arguments))}"
