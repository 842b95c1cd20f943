"""Bounds: what a plan may use at worst, over all branches and loops, and whether that is allowed (P011)."""

from __future__ import annotations

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.contracts.values import Value
from agentflow_planner_llm.plan.document import PlanLimits
from agentflow_planner_llm.plan.finding import BUDGET
from agentflow_planner_llm.plan.step import DEFAULT_RETRY, PAYING
from agentflow_planner_llm.plan.ways import guards_of, levels_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.plan.graph import Graph
    from agentflow_planner_llm.plan.scope import Scope
    from agentflow_planner_llm.plan.step import Step

    Guards = frozenset[tuple[int, int]]


class Estimate(Value):
    """The most that a plan may use. A sum is a lower bound of that where ``unknown`` names steps without an estimate.

    ``steps`` counts what may be started, without tries after a failure, ``calls`` with them. ``depth`` is the longest
    chain. ``seconds`` is the time with ``parallel`` steps at once, at worst. An agent that does not say it counts as
    one model call; what it does beyond that, and what flows and plans do, is not known.
    """

    __slots__ = ("steps", "calls", "depth", "usd", "seconds", "tokens", "model_calls", "parallel", "unknown")

    def __init__(self, parallel: int) -> None:
        self.steps = 0
        self.calls = 0
        self.depth = 0
        self.usd = 0.0
        self.seconds = 0.0
        self.tokens = 0
        self.model_calls = 0
        self.parallel = parallel
        self.unknown: dict[str, list[str]] = {"usd": [], "seconds": [], "tokens": []}

    def to_json(self) -> dict[str, JSON]:
        """The estimate as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


PARALLEL = 8
"""Steps that run at the same time where nobody says otherwise."""


def estimate_plan(graph: Graph, parallel: int | None = None) -> Estimate:
    """The worst case over branches, with every loop done as often as it may and every retry used.

    The time is bounded by (work - longest chain) / parallel + longest chain, which holds for any schedule that leaves
    no place idle while a step is ready. Source: Graham 1969, Bounds on multiprocessing timing anomalies.
    """
    given = [each for each in (parallel, graph.plan.limits.parallel) if each is not None]
    most = min(given, default=PARALLEL)
    result = Estimate(most)
    times = [1] * len(graph.steps)
    for loop in graph.loops:
        for number in loop.body - loop.kept:
            times[number] *= loop.most + 1
    guards = guards_of(graph)
    tries = [times[number] * step.attempts for number, step in enumerate(graph.steps)]

    choices = _Choices(guards)
    most_of = choices.worst

    result.steps = int(most_of(times.__getitem__))
    result.calls = int(most_of(tries.__getitem__))
    result.depth = max(levels_of(graph), default=0)
    costs = [step.cost_estimate for step in graph.steps]
    usd = [_priced(step, "usd", result) for step in graph.steps]
    tokens = [_priced(step, "tokens", result) for step in graph.steps]
    calls = [_model_calls(step) for step in graph.steps]
    if any(calls) or any(cost is not None for cost in costs):
        result.usd = most_of(lambda number: tries[number] * usd[number])
        result.tokens = int(most_of(lambda number: tries[number] * tokens[number]))
        result.model_calls = int(most_of(lambda number: tries[number] * calls[number]))
    seconds = [times[number] * _seconds(step, result) for number, step in enumerate(graph.steps)]
    if any(seconds):
        chain = _longest(graph, seconds)
        work = max(most_of(seconds.__getitem__), chain)
        result.seconds = (work - chain) / most + chain
    return result


def _priced(step: Step, name: str, result: Estimate) -> float:
    """What one attempt costs; steps that ask a model or another resource and do not say it are noted."""
    cost = step.cost_estimate
    value: float | None = None if cost is None else getattr(cost, name)
    if value is not None:
        return value
    if step.kind in {"model", "agent", "flow", "plan"}:
        result.unknown[name].append(step.id)
    return 0


def _model_calls(step: Step) -> int:
    cost = step.cost_estimate
    if cost is not None and cost.model_calls is not None:
        return cost.model_calls
    return 1 if step.kind in PAYING else 0


def _seconds(step: Step, result: Estimate) -> float:
    """The seconds of a step with all its tries and the waits between."""
    cost = step.cost_estimate
    each = None if cost is None else cost.seconds
    if step.timeout is not None:
        each = step.timeout if each is None else min(each, step.timeout)
    if each is None and step.kind in {"wait", "ask"}:
        wait = step.args.get("seconds", step.args.get("timeout_s"))
        each = wait if isinstance(wait, int | float) else None
    if each is None:
        if step.kind != "emit":
            result.unknown["seconds"].append(step.id)
        each = 0
    waits = (step.retry or DEFAULT_RETRY).waits_s() if step.attempts > 1 else 0.0
    return each * step.attempts + waits


class _Choices:
    """The choices of a plan as a tree: under each step that chooses its targets, under these what runs only then.

    A step stands at the node for all the choices that it needs, taken in the order of the document; the root is what
    runs whatever is chosen. A node comes after the one above it.
    """

    __slots__ = ("_place", "_above", "_source")

    def __init__(self, guards: Sequence[Guards]) -> None:
        self._place = [0] * len(guards)
        self._above = [0]
        self._source = [-1]
        pairs = sorted(set().union(*guards))
        rank = {pair: place for place, pair in enumerate(pairs)}
        nodes: dict[tuple[int, int], int] = {}
        for number, each in enumerate(guards):
            node = 0
            for place in sorted(map(rank.__getitem__, each)):
                below = nodes.setdefault((node, place), len(self._above))
                if below == len(self._above):
                    self._above.append(node)
                    self._source.append(pairs[place][0])
                node = below
            self._place[number] = node

    def worst(self, amount: Callable[[int], float]) -> float:
        """The sum over steps that run whatever is chosen, and of the dearest choice at each step that chooses."""
        totals = [0.0] * len(self._above)
        for number, node in enumerate(self._place):
            totals[node] += amount(number)
        dearest: list[dict[int, float]] = [{} for _ in totals]
        for node in range(len(totals) - 1, 0, -1):
            total = totals[node] + sum(dearest[node].values())
            beside, source = dearest[self._above[node]], self._source[node]
            beside[source] = max(beside.get(source, 0.0), total)
        return totals[0] + sum(dearest[0].values())


def _longest(graph: Graph, seconds: Sequence[float]) -> float:
    """The seconds of the longest chain of steps."""
    ends = [0.0] * len(graph.steps)
    for number in graph.topological:
        ends[number] = seconds[number] + max((ends[need] for need in graph.waits[number]), default=0.0)
    return max(ends, default=0.0)


def check_bounds(graph: Graph, scope: Scope, found: list[PlanFinding]) -> None:
    """P011: the estimate against the limits of the plan and those of its owner."""
    limits = [(graph.plan.limits, "the plan"), *([(scope.limits, "its owner")] if scope.limits is not None else [])]
    if all(getattr(each, name) is None for each, _ in limits for name in PlanLimits.__slots__ if name != "parallel"):
        return
    estimate = estimate_plan(graph, scope.limits.parallel if scope.limits is not None else None)
    for limit, owner in limits:
        for name in PlanLimits.__slots__:
            allowed: float | None = getattr(limit, name)
            if name == "parallel" or allowed is None:
                continue
            used: float = getattr(estimate, name)
            if used > allowed * (1 + 1e-9):
                text = f"The plan may use {_shown(used)} {_NAMES[name]} at worst; {owner} allows {_shown(allowed)}."
                where = ("limits", name) if owner == "the plan" else ()
                found.append(PlanFinding(BUDGET, text, *where, suggestion=_ADVICE))
            elif not allowed and (asking := _asking(graph, estimate.unknown.get(name, ()))):
                text = f"The plan asks a model in {asking}; {owner} allows 0 {_NAMES[name]}."
                where = ("limits", name) if owner == "the plan" else ()
                found.append(PlanFinding(BUDGET, text, *where, suggestion="Say in a cost_estimate what it uses."))


def _asking(graph: Graph, unknown: Sequence[str]) -> str:
    """Which of the steps without an estimate ask a model, which is never for nothing unless they say so."""
    names = [name for name in unknown if graph.steps[graph.index[name]].kind in PAYING]
    more = f" and {len(names) - _MOST} more steps" if len(names) > _MOST else ""
    return ", ".join(map(repr, names[:_MOST])) + more


_MOST = 5
"""Steps named in a sentence."""
_NAMES = {
    "steps": "steps", "depth": "steps in a chain", "usd": "US dollars", "seconds": "seconds", "tokens": "tokens",
    "model_calls": "model calls",
}  # fmt: skip
_ADVICE = "Take out steps, or lower the max of a loop or the attempts of a retry."


def _shown(value: float) -> str:
    return f"{value:,.10g}"
