"""A graph: named steps and the routes between them, checked as a whole before anything runs."""

from __future__ import annotations

from agentflow_kernel.contracts.finding import Finding
from agentflow_kernel.errors import FlowInvalid, InputInvalid, UsageError, nearest
from agentflow_kernel.flow.finding import (
    EMPTY,
    HOLDS_ITSELF,
    ITEM,
    NAME,
    OPTION,
    START,
    UNKNOWN_ACTION,
    UNKNOWN_NODE,
    UNKNOWN_VALUE,
)  # fmt: skip
from agentflow_kernel.flow.fitting import check_edges
from agentflow_kernel.flow.fork import Parallel
from agentflow_kernel.flow.node import DEFAULT, ELAPSED, END, REFUSED, Node
from agentflow_kernel.flow.reducer import REDUCERS
from agentflow_kernel.flow.reference import ROOTS
from agentflow_kernel.flow.sketch import Sketch, check_nodes, check_output, check_way
from agentflow_kernel.flow.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any, Literal

    from agentflow_kernel.contracts.policy import Policy
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.flow.key import StateKey, StateRules
    from agentflow_kernel.flow.reducer import Reduce
    from agentflow_kernel.flow.reference import Template

    OnUnknownAction = Literal["error", "end"]
    FlowScope = Literal["own", "shared"]

__all__ = ("Graph", "MAX_STEPS", "Step", "next_of")

MAX_STEPS = 10_000
"""Node visits a run may make unless the flow says otherwise."""

COMPENSATION_S = 60.0
"""Seconds that the compensations of a run may take together unless the flow says otherwise."""

CHOICES = {
    "on_item_error": ("fail", "skip", "collect"),
    "effect": ("pure", "idempotent", "effect"),
    "blocking": ("thread", "inline"),
    "on_unknown": ("stuck", "retry", "fail"),
    "batch_mode": ("sliding", "waves"),
}
"""What options may be that have a few values."""


def check_choice(what: str, option: str, value: object) -> None:
    """Raise :class:`UsageError` unless the option may have this value."""
    if value not in CHOICES[option]:
        known = ", ".join(map(repr, CHOICES[option]))
        raise UsageError(f"{what}: {option} must be one of {known}, not {value!r}.")


class Graph:
    """Steps in the order they were added; the first one starts unless ``start`` says otherwise."""

    def __init__(self, name: str, *, start: str | None = None, max_steps: int = MAX_STEPS) -> None:
        self.name = name
        self.start = start
        self.max_steps = max_steps
        self.steps: dict[str, Step] = {}
        self.on_unknown_action: OnUnknownAction = "error"
        """What an action does that a node chooses and no route names: ``error``, or ``end`` of the flow."""
        self.timeout_s: float | None = None
        """Seconds that a run of this flow may take, or a visit where it is a node; the deadline is on record."""
        self.compensation_s = COMPENSATION_S
        """Seconds that all compensations of a run of this flow may take together."""
        self.input_schema: Mapping[str, JSON] | None = None
        """A JSON Schema that the input of every run must fit."""
        self.output: Template | None = None
        self.display: Template | None = None
        self.policies: Sequence[Policy] = ()
        self.reducers: Mapping[str, str | Reduce] = {}
        """How writes of several branches to one key of the state become one value: a name, or a function of two."""
        self.keys: dict[str, StateKey[Any]] = {}
        """The keys of the state; where there are any, there are no others."""
        self.scope: FlowScope = "own"
        """Whose state it has where it is a node: ``own``, or ``shared`` with the flow round it, all of it."""
        self.state_schema: Mapping[str, JSON] | None = None
        self.state_model: object = None
        """A JSON Schema and a pydantic model that the state as a whole must fit at each commit."""
        self._rules: tuple[object, StateRules | None] | None = None

    def add(self, step: Step) -> None:
        """Add a step; a second one of the same name raises :class:`UsageError`."""
        if step.name in self.steps:
            raise UsageError(f"Flow {self.name!r} already has a node {step.name!r}; names are unique in a flow.")
        self.steps[step.name] = step
        if self.start is None:
            self.start = step.name

    def begin_state(self) -> dict[str, object]:
        """What the state of a run begins with: the defaults of its keys."""
        from agentflow_kernel.flow.key import defaults_of  # only flows that declare keys pay

        return defaults_of(self.keys)

    def run_keys(self) -> dict[str, StateKey[Any]]:
        """The keys that this flow, and those in it, share with the whole run."""
        found = {name: key for name, key in self.keys.items() if key.scope == "run"}
        for flow in flows_in(self.steps.values()):
            found = {**flow.run_keys(), **found}
        return found

    def shared_keys(self) -> dict[str, StateKey[Any]]:
        """The keys of the flows in it that have this one's state."""
        found: dict[str, StateKey[Any]] = {}
        for flow in flows_in(self.steps.values()):
            if flow.scope == "shared":
                own = {name: key for name, key in flow.keys.items() if key.scope != "node"}
                found = {**flow.shared_keys(), **own, **found}
        return found

    @property
    def rules(self) -> StateRules | None:
        """Everything that is declared about the state, ``None`` where that is nothing."""
        if self._rules is None or self._rules[0] is not self.reducers:
            self._rules = (self.reducers, self._make_rules())
        return self._rules[1]

    def forget_rules(self) -> None:
        """Put the rules together anew when they are next needed: the graph may have grown."""
        self._rules = None

    def _make_rules(self) -> StateRules | None:
        keys = {**self.run_keys(), **self.shared_keys(), **self.keys}
        reducers = {**{name: key.reducer for name, key in keys.items() if key.reducer is not None}, **self.reducers}
        if keys or reducers or self.state_schema is not None or self.state_model is not None:
            from agentflow_kernel.flow.key import StateRules  # only flows that declare something about it pay

            return StateRules(keys, reducers, closed=bool(self.keys), schema=self.state_schema, model=self.state_model)
        return None

    def check_input(self, value: object, *, at: str = "") -> None:
        """Raise :class:`InputInvalid` with everything in which the value does not fit ``input_schema``.

        ``at`` is where the flow stands as a node: ``outer/inner``.
        """
        if self.input_schema is not None:
            from agentflow_kernel.schema import find_problems  # only flows with a schema pay

            problems = find_problems(value, self.input_schema)  # type: ignore[arg-type]  # JSON, checked before
            if problems:
                where = f" at {at!r}" if at else ""
                raise InputInvalid(f"The input of flow {self.name!r}{where}", "; ".join(problems))

    def check(self) -> None:
        """Raise :class:`FlowInvalid` with all findings when the graph cannot be run."""
        findings = list(self._findings())
        if findings:
            raise FlowInvalid(self.name, findings)

    def _findings(self) -> Iterator[Finding]:
        if not self.steps:
            yield Finding(EMPTY, "it has no node; add one with .step(function)")
            return
        if self.start not in self.steps:
            yield Finding(START, f"start names no node: {self.start!r}" + self._hint(str(self.start)), "start")
        for step in self.steps.values():
            yield from self._step_findings(step)
        for what, template in (("output", self.output), ("display", self.display)):
            for name in template.names() if template else ():
                if name == "item":
                    yield Finding(ITEM, f"its {what} refers to 'item', which only a node with each has", what)
                elif name not in ROOTS and name not in self.steps:
                    text = f"its {what} refers to unknown node {name!r}" + self._hint(name)
                    yield Finding(UNKNOWN_VALUE, text, what)
        for key, reducer in self.reducers.items():
            if not callable(reducer) and reducer not in REDUCERS:
                text = f"the reducer of {key!r} must be one of {', '.join(map(repr, REDUCERS))} or a function"
                yield Finding(OPTION, f"{text}, not {reducer!r}", "reducers", key)
        for what, schema in (("input_schema", self.input_schema), ("state_schema", self.state_schema)):
            for problem in () if schema is None else _schema_problems(f"its {what}", schema):
                yield Finding(OPTION, problem, what)
        steps: object = self.max_steps
        if not isinstance(steps, int) or steps < 1:
            yield Finding(OPTION, f"its max_steps must be a whole number of at least 1, not {steps!r}", "max_steps")
        limits = {"timeout_s": self.timeout_s, "compensation_s": self.compensation_s}
        for option, seconds in limits.items():
            if seconds not in (None, COMPENSATION_S):
                for problem in _time_problems(option, seconds):
                    yield Finding(OPTION, f"its {problem}", option)
        if self.on_unknown_action not in ("error", "end"):
            text = f"its on_unknown_action must be 'error' or 'end', not {self.on_unknown_action!r}"
            yield Finding(OPTION, text, "on_unknown_action")
        if self.scope not in ("own", "shared"):
            yield Finding(OPTION, f"its scope must be 'own' or 'shared', not {self.scope!r}", "scope")
        if _holds(self, self, set()):
            yield Finding(HOLDS_ITSELF, "it holds itself as a node")
        else:
            yield from self._state_findings()
        nodes = {name: _sketch(step) for name, step in self.steps.items()}
        yield from check_nodes(nodes)
        yield from check_way(nodes, str(self.start), bounded=self.max_steps != MAX_STEPS)
        if self.output is not None:
            yield from check_output(nodes, str(self.start), [(name, ("output",)) for name in self.output.names()])
        yield from check_edges(self.steps, str(self.start), self.input_schema)

    def _state_findings(self) -> Iterator[Finding]:
        reads = [read for step in self.steps.values() for read in _reads(step)]
        for what, template in (("output", self.output), ("display", self.display)):
            reads += [(key, f"its {what}", (what,)) for key in _state_keys(template)]
        if reads or self.keys:
            from agentflow_kernel.flow.declared import check_keys, check_reads  # only flows with a state pay

            yield from check_keys(self.keys, self.reducers)
            if self.scope == "own":  # else the flow round it may declare and write what is read here
                yield from check_reads(self.keys, reads, _written(self.steps.values()))

    def _step_findings(self, step: Step) -> Iterator[Finding]:
        name = step.name
        yield from _name_findings("node", name)
        for action, target in step.routes.items():
            if target != END and target not in self.steps:
                text = f"node {name!r} routes {action!r} to unknown node {target!r}" + self._hint(str(target))
                yield Finding(UNKNOWN_NODE, text, "nodes", name, "routes", action)
        yield from self._value_findings(step, f"node {name!r}")
        for branch in step.target.steps.values() if isinstance(step.target, Parallel) else ():
            yield from _name_findings("branch", branch.name)
            yield from self._value_findings(branch, f"node {name!r}, branch {branch.name!r}")

    def _value_findings(self, step: Step, what: str) -> Iterator[Finding]:
        """Findings about references and options of a node or of one branch of it."""
        for template in (step.input, step.each):
            for name in template.names() if template else ():
                if name == "item" and (step.each is None or template is step.each):
                    text = f"{what} refers to 'item', which only the input of a node with each has"
                    yield Finding(ITEM, text, "nodes", step.name)
                elif name not in ROOTS and name not in self.steps:
                    text = f"{what} refers to unknown node {name!r}" + self._hint(name)
                    yield Finding(UNKNOWN_VALUE, text, "nodes", step.name)
        numbers = {option: getattr(step, option) for option in ("batch_size", "concurrency")}
        if step.max_visits is not None:
            numbers["max_visits"] = step.max_visits
        if isinstance(step.target, Parallel):
            numbers["the concurrency of its branches"] = step.target.concurrency
        for option, number in numbers.items():
            if not isinstance(number, int) or number < 1:
                text = f"{what}: {option} must be a whole number of at least 1, not {number!r}"
                yield Finding(OPTION, text, "nodes", step.name, option)
        for problem in _time_problems("timeout_s", step.timeout_s):
            yield Finding(OPTION, f"{what}: {problem}", "nodes", step.name, "timeout_s")
        if step.compensate is not None:
            yield from _compensation_findings(step, what)
        for option, thing in (("approve", step.approve), (getattr(step.target, "kind", ""), step.target)):
            for problem in thing.problems() if hasattr(thing, "problems") else ():
                yield Finding(OPTION, f"{what}: {problem}", "nodes", step.name, option)
        for option, known in CHOICES.items():
            value = getattr(step, option)
            if value not in known and not (value is None and option == "effect"):
                text = f"{what}: {option} must be one of {', '.join(map(repr, known))}, not {value!r}"
                yield Finding(OPTION, text, "nodes", step.name, option)

    def _hint(self, name: str) -> str:
        close = nearest(name, self.steps)
        return f" (did you mean {close!r}?)" if close else ""


def _name_findings(what: str, name: str) -> Iterator[Finding]:
    reserved = (*ROOTS, END)
    given: object = name
    if not isinstance(given, str) or not name or name in reserved or any(mark in name for mark in "./[]@! \n\0"):
        text = (
            f"{what} name {name!r} is not allowed: a text without dots, blanks, line ends, slashes, brackets, @ and !, "
            f"and not {reserved}"
        )
        yield Finding(NAME, text, "nodes", name)


def _sketch(step: Step) -> Sketch:
    parallel = step.target if isinstance(step.target, Parallel) else None
    kind = getattr(step.target, "kind", "")
    rigid = bool(step.emits or step.each or parallel or isinstance(step.target, Graph) or kind in ("ask", "wait"))
    sketch = Sketch(
        step.name,
        routes=step.routes,
        when=step.when,
        fan_out=step.fan_out,
        rigid=rigid,
        limited=step.max_visits is not None,
        each=step.each is not None,
        parallel=parallel,
    )
    sketch.join = step.join
    sketch.may = actions_of(step.target, approve=step.approve is not None)
    for each in (step, *(parallel.steps.values() if parallel else ())):
        for template in (each.input, each.each):
            sketch.reads += [(name, ("nodes", step.name)) for name in (template.names() if template else ())]
    return sketch


def _reads(step: Step) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
    """The keys of the state that a node takes: by references, by conditions, and by what it says itself."""
    parallel = step.target if isinstance(step.target, Parallel) else None
    what, where = f"node {step.name!r}", ("nodes", step.name)
    for each in (step, *(parallel.steps.values() if parallel else ())):
        for template in (each.input, each.each):
            yield from ((key, what, where) for key in _state_keys(template))
        for read in getattr(each.target, "reads", ()) if _is_node(each.target) else ():
            yield str(getattr(read, "name", read)), what, where
    conditions = [case.condition for case in step.when if case.condition is not None]
    for condition in (*conditions, *(parallel.conditions.values() if parallel else ())):
        yield from ((str(path[1]), what, where) for path in condition.paths if path[0] == "state" and len(path) > 1)


def _state_keys(template: Template | None) -> Iterator[str]:
    return (str(path[1]) for path in (template.paths if template else ()) if path[0] == "state" and len(path) > 1)


def _is_node(target: object) -> bool:
    return isinstance(target, Node) or (isinstance(target, type) and issubclass(target, Node))


def _written(steps: Iterable[Step]) -> set[str] | None:
    """The keys of the state that these nodes may write, ``None`` where one may write any."""
    found: set[str] = set()
    for step in steps:
        if isinstance(step.target, Parallel):
            part = _written(step.target.steps.values())
        elif isinstance(step.target, Graph):
            part = set(step.target.run_keys())
            if step.target.scope == "shared":
                inner = _written(step.target.steps.values())
                part = None if inner is None else part | inner
        elif _is_node(step.target):
            writes = step.target.writes  # type: ignore[attr-defined]  # asked just now
            part = None if writes is None else {str(getattr(key, "name", key)) for key in writes}
        else:
            continue
        if part is None:
            return None
        found |= part
    return found


def _compensation_findings(step: Step, what: str) -> Iterator[Finding]:
    undo: Step = step.compensate  # type: ignore[assignment]  # asked before
    place = ("nodes", step.name, "compensate")
    if isinstance(step.target, Parallel) or step.fan_out:
        yield Finding(OPTION, f"{what} forks; give each of its branches a compensation, not the node", *place)
    for name in undo.input.names() if undo.input is not None else ():
        if name != "item":
            text = (
                f"{what}: the input of its compensation refers to {name!r}; it knows only 'item.input', 'item.result'"
            )
            yield Finding(UNKNOWN_VALUE, text, *place, "input")


def _time_problems(name: str, seconds: object) -> Iterator[str]:
    if seconds is None:
        return
    from agentflow_kernel.flow.asking import time_problems  # lazy: only flows with limits pay

    yield from time_problems(name, seconds)


def _schema_problems(name: str, schema: object) -> Iterator[str]:
    from agentflow_kernel.flow.asking import schema_problems  # lazy: only flows with a schema pay

    yield from schema_problems(name, schema)


def actions_of(target: object, *, approve: bool) -> tuple[str, ...]:
    """Actions that a node may choose although its function chooses none; ``*`` for any."""
    may = (REFUSED,) if approve else ()
    kind = getattr(target, "kind", "")
    if kind not in ("ask", "wait"):
        return may
    choices = getattr(target, "choices", None)
    elapses = (ELAPSED,) if getattr(target, "timeout_s", None) is not None else ()
    return (*may, *elapses, *(("*",) if kind == "ask" and choices is None else choices or ()))


def flows_in(steps: Iterable[Step]) -> Iterator[Graph]:
    """The flows among the targets of these steps and of their branches, one level down."""
    for step in steps:
        if step.compensate is not None:
            yield from flows_in([step.compensate])
        if isinstance(step.target, Graph):
            yield step.target
        elif isinstance(step.target, Parallel):
            yield from flows_in(step.target.steps.values())


def compensates(graph: Graph) -> bool:
    """Whether a node or branch of the flow, however deep, has a compensation."""
    todo, seen = [graph], {id(graph)}
    while todo:
        steps = list(todo.pop().steps.values())
        for step in steps:
            if step.compensate is not None:
                return True
            if isinstance(step.target, Parallel):
                steps += step.target.steps.values()
        for flow in flows_in(steps):
            if id(flow) not in seen:
                seen.add(id(flow))
                todo.append(flow)
    return False


def _holds(graph: Graph, wanted: Graph, seen: set[int]) -> bool:
    """Whether a flow stands among the nodes of ``graph``, however deep."""
    for flow in flows_in(graph.steps.values()):
        if flow is wanted:
            return True
        if id(flow) not in seen:
            seen.add(id(flow))
            if _holds(flow, wanted, seen):
                return True
    return False


def next_of(routes: Mapping[str, str], action: str, *, flow: str, node: str) -> str | None:
    """The node that ``action`` leads to, ``None`` for the end.

    A node without routes ends the flow whatever it returns only for the default action; any other action must be
    routed. Raises :class:`FlowInvalid` for an action that no route names.
    """
    target = routes.get(action)
    if target is not None:
        return None if target == END else target
    if action == DEFAULT and not routes:
        return None
    close = nearest(action, routes)
    hint = f"; did you mean {close!r}?" if close else ""
    known = ", ".join(map(repr, routes)) or "none"
    text = f"node {node!r} chose action {action!r}, which is not routed (routes: {known}{hint})"
    raise FlowInvalid(flow, [Finding(UNKNOWN_ACTION, text, "nodes", node)])
