"""A reading: a plan's document made into a plan, with a finding for everything that is not of its form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import ExpressionInvalid
from agentflow_kernel.schema import find_schema_problems
from agentflow_planner_llm.plan.condition import read_condition
from agentflow_planner_llm.plan.document import VERSION, Plan, StateKey
from agentflow_planner_llm.plan.finding import DUPLICATE, SCHEMA, suggest
from agentflow_planner_llm.plan.limits import find_excess
from agentflow_planner_llm.plan.reference import ROOTS
from agentflow_planner_llm.plan.step import END, KINDS, ON_ERROR, CostEstimate, Retry, Route, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from agentflow_kernel.contracts.values import JSON

    Object: TypeAlias = Mapping[str, JSON]
    Where: TypeAlias = tuple[str | int, ...]

Rule = Callable[[Any], "str | None"]
"""What was expected of a value, where it is something else."""

REDUCERS = ("last", "append", "add", "merge", "max")
FORMS = ("graph", "linear")
LONGEST_ID = 100
_LARGEST = 1e15


def _one_of(*words: str) -> Rule:
    expected = "one of " + ", ".join(words)
    return lambda value: None if value.__class__ is str and value in words else expected


def _text(value: object) -> str | None:
    return None if value.__class__ is str else "a text"


def _texts(value: object) -> str | None:
    if value.__class__ is list:
        for item in cast("list[object]", value):
            if item.__class__ is not str:
                break
        else:
            return None
    return "a list of texts"


def _object(value: object) -> str | None:
    return None if value.__class__ is dict else "an object"


def _list(value: object) -> str | None:
    return None if value.__class__ is list else "a list"


def _flag(value: object) -> str | None:
    return None if value is True or value is False else "true or false"


def _count(least: int, most: int = 10**15) -> Rule:
    expected = f"a whole number of at least {least} and at most {most}"
    return lambda value: None if value.__class__ is int and least <= value <= most else expected


def _number(value: object) -> str | None:
    if value.__class__ in (int, float) and 0 <= cast("float", value) <= _LARGEST:
        return None
    return "a number that is not negative, at most 1e15"


def _factor(value: object) -> str | None:
    return None if _number(value) is None and cast("float", value) <= 1_000 else "a number from 0 to 1000"


def _schema(value: object) -> str | None:
    if value.__class__ is not dict:
        return "an object"
    problems = find_schema_problems(value)
    return f"a sound JSON Schema ({'; '.join(problems)})" if problems else None


def _seconds(value: object) -> str | None:
    return None if _number(value) is None and cast("float", value) > 0 else "a number of seconds above 0"


def _condition(value: object) -> str | None:
    if value.__class__ is not str:
        return "an expression, as a text"
    try:
        read_condition(str(value))
    except ExpressionInvalid as error:
        return f"an expression: {str(error).splitlines()[0]}"
    return None


def _anything(_value: object) -> str | None:
    return None


def _step_name(value: object) -> str | None:
    if value.__class__ is not str:
        return "a text"
    name = str(value)
    if name not in _OTHER_WORDS and name.isalnum() and name.isascii() and len(name) <= LONGEST_ID:
        return None
    if not name or len(name) > LONGEST_ID or not name.isascii() or not name.replace("_", "").replace("-", "").isalnum():
        return f"1 to {LONGEST_ID} letters, digits, - and _"
    return f"another word than {name}" if name in _OTHER_WORDS else None


_OTHER_WORDS = frozenset((*ROOTS, END, "result"))


STEP_FIELDS: Mapping[str, Rule] = {
    "id": _step_name, "kind": _one_of(*KINDS), "name": _text, "args": _object, "needs": _texts, "when": _condition,
    "on_error": _one_of(*ON_ERROR), "retry": _object, "routes": _list,
    "writes": _texts, "reads": _texts, "idempotent": _flag, "timeout": _seconds, "cost_estimate": _object,
    "returns": _schema, "expect": _condition, "pre": _texts, "post": _texts,
}  # fmt: skip
RETRY_FIELDS: Mapping[str, Rule] = {
    "attempts": _count(1), "wait_s": _number, "factor": _factor, "max_wait_s": _number
}  # fmt: skip
ROUTE_FIELDS: Mapping[str, Rule] = {"to": _text, "when": _condition, "max": _count(1, 1_000_000)}
COST_FIELDS: Mapping[str, Rule] = {
    "usd": _number, "seconds": _number, "tokens": _count(0), "model_calls": _count(0)
}  # fmt: skip
LIMIT_FIELDS: Mapping[str, Rule] = {
    "parallel": _count(1), "steps": _count(1), "depth": _count(1), "usd": _number, "seconds": _number,
    "tokens": _count(0), "model_calls": _count(0),
}  # fmt: skip
STATE_FIELDS: Mapping[str, Rule] = {"initial": _anything, "reducer": _one_of(*REDUCERS)}
PLAN_FIELDS: Mapping[str, Rule] = {
    "version": lambda value: None if value.__class__ is int and value == VERSION else f"{VERSION}", "goal": _text,
    "form": _one_of(*FORMS), "steps": lambda value: None if value.__class__ is list and value else "a list of steps",
    "state": _object, "output": _anything, "facts": _texts, "goals": _texts, "limits": _object, "approval": _flag,
}  # fmt: skip
SCHEMAS_IN_ARGUMENTS: Mapping[str, Sequence[str]] = {
    "model": ("output_schema",), "wait": ("schema",), "ask": ("schema",)
}  # fmt: skip
NAMED = ("tool", "agent", "flow", "plan", "emit")
"""Kinds of steps that name something; the others name nothing."""


class Reading:
    """One reading of one document; all that is wrong with its form is in ``findings``."""

    __slots__ = ("findings",)

    def __init__(self) -> None:
        self.findings: list[PlanFinding] = []

    def plan(self, document: Object) -> Plan:
        """The plan, as much of it as could be read; nothing of a document that is beyond all limits."""
        excess = find_excess(document)
        if excess is not None:
            self.findings.append(PlanFinding(SCHEMA, f"{excess[0]}.", *excess[1]))
            return Plan({})
        source = document if document.__class__ is dict else cast("Object", plain(document))
        plan = Plan(source)
        if source.__class__ is not dict:
            self._wrong("The plan", "an object", source, ())
            return plan
        good = self._fields(source, PLAN_FIELDS, (), "", required=("steps",))
        for name in ("goal", "form", "output", "facts", "goals", "approval"):
            if name in good:
                setattr(plan, name, source[name])
        if "state" in good:
            plan.state = self._state(cast("Object", source["state"]))
        if "limits" in good:
            where: Where = ("limits",)
            found = self._fields(cast("Object", source["limits"]), LIMIT_FIELDS, where, "")
            for name in found:
                setattr(plan.limits, name, cast("Object", source["limits"])[name])
        if "steps" in good:
            plan.steps, plan.positions = self._steps(cast("Sequence[JSON]", source["steps"]))
        return plan

    def _steps(self, documents: Sequence[JSON]) -> tuple[list[Step], list[int]]:
        steps: list[Step] = []
        positions: list[int] = []
        known: set[str] = set()
        for index, document in enumerate(documents):
            where = ("steps", index)
            if document.__class__ is not dict:
                self._wrong("A step", "an object", document, where)
                continue
            step = self._step(cast("Object", document), where)
            if step.id in known and step.id:
                text = f"There is a step {step.id!r} already: every step has an id of its own."
                self.findings.append(PlanFinding(DUPLICATE, text, *where, "id", step=step.id))
            known.add(step.id)
            steps.append(step)
            positions.append(index)
        return steps, positions

    def _step(self, source: Object, where: Where) -> Step:
        step = Step(source)
        name = source.get("id")
        called = name if isinstance(name, str) else ""
        for field, value in source.items():
            rule = STEP_FIELDS.get(field)
            if rule is None or rule(value) is not None:
                self._fault(field, value, STEP_FIELDS, where, called)
            else:
                setattr(step, field, value)
        if "id" not in source or "kind" not in source:
            self._miss(source, ("id", "kind"), where, called)
        # what is an object or a list by now is the document of the part
        if step.retry is not None:
            step.retry = cast("Retry", self._made(Retry, step.retry, RETRY_FIELDS, (*where, "retry"), step))
        if step.cost_estimate is not None:
            place = (*where, "cost_estimate")
            cost = self._made(CostEstimate, step.cost_estimate, COST_FIELDS, place, step)
            step.cost_estimate = cast("CostEstimate", cost)
        if step.routes:
            step.routes = self._routes(cast("Sequence[JSON]", step.routes), where, step)
        if step.kind in SCHEMAS_IN_ARGUMENTS:
            for field in SCHEMAS_IN_ARGUMENTS[step.kind]:
                self._schema_in_arguments(step, field, where)
        named = source.get("name").__class__ is str
        if named != (step.kind in NAMED) and source.get("kind") == step.kind:
            problem = "has no name" if step.kind in NAMED else "names something"
            wanted = "say which" if step.kind in NAMED else "leave it out"
            text = f"Step {step.id!r} of kind {step.kind!r} {problem}: {wanted}."
            self.findings.append(PlanFinding(SCHEMA, text, *where, "name", step=step.id))
        return step

    def _schema_in_arguments(self, step: Step, field: str, where: Where) -> None:
        """A schema among the arguments; one that is filled in when the step runs cannot be told yet."""
        schema = step.args.get(field)
        if isinstance(schema, dict) and "$ref" not in schema and (problems := find_schema_problems(schema)):
            text = f"The field {field!r} must be a sound JSON Schema: {'; '.join(problems)}."
            self.findings.append(PlanFinding(SCHEMA, text, *where, "args", field, step=step.id))

    def _routes(self, documents: Sequence[JSON], where: Where, step: Step) -> list[Route]:
        routes: list[Route] = []
        for index, document in enumerate(documents):
            place = (*where, "routes", index)
            if document.__class__ is not dict:
                self._wrong(f"A route of step {step.id!r}", "an object", document, place, step.id)
                continue
            fields = cast("Object", document)
            good = self._fields(fields, ROUTE_FIELDS, place, step.id, required=("to",))
            if "to" in good:
                to, when, most = (fields[name] if name in good else None for name in ROUTE_FIELDS)
                routes.append(Route(str(to), cast("str | None", when), cast("int | None", most)))
        return routes

    def _state(self, document: Object) -> dict[str, StateKey]:
        keys: dict[str, StateKey] = {}
        for name, fields in document.items():
            where = ("state", name)
            if fields.__class__ is not dict:
                self._wrong(f"Key {name!r} of the state", "an object with initial and reducer", fields, where)
                continue
            key = cast("Object", fields)
            good = self._fields(key, STATE_FIELDS, where, "")
            keys[name] = StateKey(**cast("dict[str, Any]", {field: key[field] for field in good}))
        return keys

    def _made(
        self,
        kind: type[Retry | CostEstimate],
        document: object,
        rules: Mapping[str, Rule],
        where: Where,
        step: Step,
    ) -> Retry | CostEstimate:
        fields = cast("Object", document)
        good = self._fields(fields, rules, where, step.id)
        return kind(**cast("dict[str, Any]", {name: fields[name] for name in good}))

    def _fields(
        self, document: Object, rules: Mapping[str, Rule], where: Where, step: str, *, required: Sequence[str] = ()
    ) -> list[str]:
        """The names of the fields that are as they must be; the others become findings."""
        good: list[str] = []
        for name, value in document.items():
            rule = rules.get(name)
            if rule is None or rule(value) is not None:
                self._fault(name, value, rules, where, step)
            else:
                good.append(name)
        self._miss(document, required, where, step)
        return good

    def _fault(self, name: str, value: JSON, rules: Mapping[str, Rule], where: Where, step: str) -> None:
        """Note a field that is none of these, or not as it must be."""
        rule = rules.get(name)
        if rule is None:
            text = f"Unknown field {name!r}. There are: {', '.join(rules)}."
            finding = PlanFinding(SCHEMA, text, *where, name, step=step, suggestion=suggest(name, rules))
            self.findings.append(finding)
        else:
            self._wrong(f"Field {name!r}", str(rule(value)), value, (*where, name), step)

    def _miss(self, document: Object, required: Sequence[str], where: Where, step: str) -> None:
        """Note the fields that must be there and are not."""
        for name in required:
            if name not in document:
                text = f"The field {name!r} is missing."
                self.findings.append(PlanFinding(SCHEMA, text, *where, name, step=step))

    def _wrong(self, what: str, expected: str, value: object, where: Where, step: str = "") -> None:
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
        self.findings.append(PlanFinding(SCHEMA, f"{what} must be {expected}, not {shown}.", *where, step=step))


_SHOWN = 60


def plain(value: JSON) -> JSON:
    """The value made of dictionaries and lists."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
