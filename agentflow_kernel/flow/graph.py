"""A graph: named steps and the routes between them, checked as a whole before anything runs."""

from __future__ import annotations

from agentflow_kernel.errors import FlowInvalid, InputInvalid, UsageError, nearest
from agentflow_kernel.flow.node import DEFAULT, END
from agentflow_kernel.flow.reference import ROOTS, Template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Literal

    from agentflow_kernel.contracts.policy import Policy
    from agentflow_kernel.contracts.tool import Effect
    from agentflow_kernel.contracts.values import JSON

    OnItemError = Literal["fail", "skip", "collect"]
    Blocking = Literal["thread", "inline"]

MAX_STEPS = 10_000
"""Node visits a run may make unless the flow says otherwise."""

_CHOICES = {
    "on_item_error": ("fail", "skip", "collect"),
    "effect": ("pure", "idempotent", "effect"),
    "blocking": ("thread", "inline"),
}


class Step:
    """One node of a graph: what it does, where its input comes from and where its result goes.

    ``target`` is a function, a :class:`Node`, another flow, or an object with ``perform(context, value)``.
    ``routes`` maps actions to node names or ``END``. With ``each`` the node runs once per chunk of ``batch_size``
    items, at most ``concurrency`` at a time, its result being the list of results in the order of the items.
    ``effect`` is ``idempotent`` unless the step or its tool says otherwise.
    """

    __slots__ = (
        "name", "target", "input", "routes", "each", "batch_size", "concurrency", "on_item_error", "policies",
        "effect", "blocking", "emits",
    )  # fmt: skip

    def __init__(self, name: str, target: object, **options: object) -> None:
        self.name = name
        self.target = target
        self.input: Template | None = _template(options.pop("input", None))
        self.routes: dict[str, str] = dict(options.pop("routes", None) or {})  # type: ignore[call-overload]
        self.each: Template | None = _template(options.pop("each", None))
        self.batch_size: int = options.pop("batch_size", 1)  # type: ignore[assignment]
        self.concurrency: int = options.pop("concurrency", 4)  # type: ignore[assignment]
        self.on_item_error: OnItemError = options.pop("on_item_error", "fail")  # type: ignore[assignment]
        self.policies: Sequence[Policy] = options.pop("policies", ())  # type: ignore[assignment]
        self.effect: Effect | None = options.pop("effect", None)  # type: ignore[assignment]
        self.blocking: Blocking = options.pop("blocking", "thread")  # type: ignore[assignment]
        self.emits: str = options.pop("emits", "")  # type: ignore[assignment]
        if options:
            raise TypeError(f"Step {name!r} has no option {', '.join(map(repr, options))}.")


def _template(source: object) -> Template | None:
    return source if source is None or isinstance(source, Template) else Template(source)


class Graph:
    """Steps in the order they were added; the first one starts unless ``start`` says otherwise."""

    def __init__(self, name: str, *, start: str | None = None, max_steps: int = MAX_STEPS) -> None:
        self.name = name
        self.start = start
        self.max_steps = max_steps
        self.steps: dict[str, Step] = {}
        self.input_schema: Mapping[str, JSON] | None = None
        """A JSON Schema that the input of every run must fit."""
        self.output: Template | None = None
        self.display: Template | None = None
        self.policies: Sequence[Policy] = ()

    def add(self, step: Step) -> None:
        """Add a step; a second one of the same name raises :class:`UsageError`."""
        if step.name in self.steps:
            raise UsageError(f"Flow {self.name!r} already has a node {step.name!r}; names are unique in a flow.")
        self.steps[step.name] = step
        if self.start is None:
            self.start = step.name

    def check_input(self, value: object) -> None:
        """Raise :class:`InputInvalid` with everything in which the value does not fit ``input_schema``."""
        if self.input_schema is not None:
            from agentflow_kernel.schema import find_problems  # only flows with a schema pay

            problems = find_problems(value, self.input_schema)  # type: ignore[arg-type]  # JSON, checked before
            if problems:
                raise InputInvalid(f"The input of flow {self.name!r}", "; ".join(problems))

    def check(self) -> None:
        """Raise :class:`FlowInvalid` with all findings when the graph cannot be run."""
        findings = list(self._findings())
        if findings:
            raise FlowInvalid(self.name, findings)

    def _findings(self) -> Iterator[str]:
        if not self.steps:
            yield "it has no node; add one with .step(function)"
            return
        if self.start not in self.steps:
            yield f"start names no node: {self.start!r}" + self._hint(str(self.start))
        for step in self.steps.values():
            yield from self._step_findings(step)
        for what, template in (("output", self.output), ("display", self.display)):
            for name in template.names() if template else ():
                if name == "item":
                    yield f"its {what} refers to 'item', which only a node with each has"
                elif name not in ROOTS and name not in self.steps:
                    yield f"its {what} refers to unknown node {name!r}" + self._hint(name)
        if _holds(self, self, set()):
            yield "it holds itself as a node"
        for name in sorted(self.steps.keys() - self._reachable(), key=list(self.steps).index):
            yield f"node {name!r} is not reachable from {self.start!r}"

    def _step_findings(self, step: Step) -> Iterator[str]:
        reserved = (*ROOTS, END)
        if not step.name or step.name in reserved or any(mark in step.name for mark in "./[]@! "):
            yield f"node name {step.name!r} is not allowed: no dots, blanks, slashes, brackets, @, ! and not {reserved}"
        for action, target in step.routes.items():
            if target != END and target not in self.steps:
                yield f"node {step.name!r} routes {action!r} to unknown node {target!r}" + self._hint(target)
        for template in (step.input, step.each):
            for name in template.names() if template else ():
                if name == "item" and (step.each is None or template is step.each):
                    yield f"node {step.name!r} refers to 'item', which only the input of a node with each has"
                elif name not in ROOTS and name not in self.steps:
                    yield f"node {step.name!r} refers to unknown node {name!r}" + self._hint(name)
        for option in ("batch_size", "concurrency"):
            number = getattr(step, option)
            if not isinstance(number, int) or number < 1:
                yield f"node {step.name!r}: {option} must be a whole number of at least 1, not {number!r}"
        for option, known in _CHOICES.items():
            value = getattr(step, option)
            if value not in known and not (value is None and option == "effect"):
                yield f"node {step.name!r}: {option} must be one of {', '.join(map(repr, known))}, not {value!r}"

    def _reachable(self) -> set[str]:
        seen: set[str] = set()
        todo = [self.start]
        while todo:
            name = todo.pop()
            if name in seen or name not in self.steps:
                continue
            seen.add(name)
            todo.extend(self.steps[name].routes.values())
        return seen

    def _hint(self, name: str) -> str:
        close = nearest(name, self.steps)
        return f" (did you mean {close!r}?)" if close else ""


def _holds(graph: Graph, wanted: Graph, seen: set[int]) -> bool:
    """Whether a flow stands among the nodes of ``graph``, however deep."""
    inner = [step.target for step in graph.steps.values() if isinstance(step.target, Graph)]
    for flow in inner:
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
    raise FlowInvalid(flow, [f"node {node!r} chose action {action!r}, which is not routed (routes: {known}{hint})"])
