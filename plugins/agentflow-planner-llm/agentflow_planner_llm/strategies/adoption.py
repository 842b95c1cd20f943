"""An adoption: what a new plan takes over of the one before it, which is done, at work, or not to be done again."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_planner_llm.execution.state import SETTLED, PlanRun
from agentflow_planner_llm.execution.values import name_call, state_of
from agentflow_planner_llm.plan.document import canonical
from agentflow_planner_llm.plan.finding import CONFLICT, DUPLICATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.execution.moment import Moment
    from agentflow_planner_llm.execution.program import Program
    from agentflow_planner_llm.plan.graph import Graph
    from agentflow_planner_llm.plan.step import Step
    from agentflow_planner_llm.strategies.state import StrategyState

    Object: TypeAlias = Mapping[str, JSON]


def facts_of(run: PlanRun) -> dict[str, Object]:
    """The documents of the steps that are done, by id, those of earlier versions of the plan included."""
    done = {step.id: step.source for number, step in enumerate(run.program.steps) if run.status[number] == "done"}
    return {**run.facts, **done}


def without_facts(document: Object, facts: Mapping[str, Object]) -> tuple[Object, list[int], list[PlanFinding]]:
    """The document without steps that are done, where each of the others stood, and what is wrong.

    Wrong are steps that use the id of one that is done for something else.
    """
    steps = document.get("steps")
    if not facts or not isinstance(steps, list):
        return document, list(range(len(steps))) if isinstance(steps, list) else [], []
    positions: list[int] = []
    found: list[PlanFinding] = []
    fresh: list[JSON] = []
    for position, step in enumerate(steps):
        name = str(step.get("id")) if isinstance(step, dict) else ""
        if name not in facts:
            fresh.append(step)
            positions.append(position)
        elif canonical(step) != canonical(cast("JSON", facts[name])):
            text = f"Step {name!r} is done already; its id means what it was."
            found.append(
                PlanFinding(DUPLICATE, text, "steps", position, "id", step=name, suggestion="Choose another id.")
            )
    return {**document, "steps": fresh}, positions, found


def find_repeated(run: PlanRun | None, graph: Graph, facts: Mapping[str, Object]) -> list[PlanFinding]:
    """P012 for steps that make a call again which had its effect, or may have it while it runs."""
    if run is None:
        return []
    found: list[PlanFinding] = []
    at_work = {run.program.steps[number].id: run.program.steps[number].source for number in run.running.values()}
    for number, step in enumerate(graph.steps):
        other = run.log.get(name_call(step, step.args))
        if other is None or graph.effects[number] != "effect":
            continue
        if other in facts:
            text = f"Step {step.id!r} repeats {other!r}, which is done and had its effect."
            advice = "Use its result."
        elif other in at_work and (step.id != other or canonical(step.source) != canonical(at_work[other])):
            text = f"Step {step.id!r} repeats {other!r}, which runs and may have its effect."
            advice = f"Keep step {other!r} as it is."
        else:
            continue
        found.append(PlanFinding(CONFLICT, text, "steps", number, step=step.id, suggestion=advice))
    return found


def adopt(state: StrategyState, moment: Moment, program: Program) -> None:
    """Make the program of a new plan the present one: what is done is a fact, what runs is kept or cancelled."""
    old = state.run
    run = _begin(state, program, {} if old is None else facts_of(old))
    state.notes["facts"] = dict(run.facts)
    if old is None:
        return
    for key, number in old.running.items():
        step = old.program.steps[number]
        same = program.graph.index.get(step.id)
        kept = same is not None and canonical(program.steps[same].source) == canonical(step.source)
        if same is not None and kept and key not in old.members:
            _keep_running(old, run, key, same)
        else:
            _give_up(state, moment, old, key)


def extend(state: StrategyState, moment: Moment, program: Program) -> None:
    """Make the program of more of the same plan the present one: what has begun goes on as if it had been in it.

    What the program does not have is given up. No step of the old one is in a batch, and none writes to the state.
    """
    old = cast("PlanRun", state.run)
    run = _begin(state, program, old.facts)
    calls: dict[str, int] = {}
    for number, step in enumerate(program.steps):
        if not program.graph.references[number]:
            calls.setdefault(name_call(step, step.args), number)
    keys = {number: key for key, number in old.running.items()}
    for number, step in enumerate(old.program.steps):
        status = old.status[number]
        same = _find_same(program, step, calls)
        if same is None or run.status[same]:
            if number in keys:
                _give_up(state, moment, old, keys[number])
            if status:
                moment.tell("step.dropped", id=step.id, status=status)
        elif status in SETTLED:
            for each in (same, *program.twins.get(same, ())):
                run.status[each] = status
                run.outcome[program.steps[each].id] = old.outcome[step.id]
        elif number in keys:
            _keep_running(old, run, keys[number], same)
        elif number in old.wake_at:
            run.status[same], run.wake_at[same], run.tries[same] = status, old.wake_at[number], old.tries[number]
    run.count()


def _begin(state: StrategyState, program: Program, facts: Mapping[str, Object]) -> PlanRun:
    """A run of the program that knows what was done in the one before, and has these facts."""
    old = state.run
    run = state.run = PlanRun(program, state.text)
    run.ledger, run.owner = state.ledger, state
    if old is not None:
        run.facts = dict(facts)
        run.outcome = {name: each for name, each in old.outcome.items() if name in run.facts}
        run.turns, run.log, run.cache, run.base = dict(old.turns), dict(old.log), dict(old.cache), state_of(old)
    return run


def _find_same(program: Program, step: Step, calls: Mapping[str, int]) -> int | None:
    """The step of the program that is this one: by its id, or else as the same call under another id."""
    same = program.graph.index.get(step.id)
    if same is None or canonical(program.steps[same].source) != canonical(step.source):
        same = calls.get(name_call(step, step.args))
    if same is not None:
        same = program.twin_of.get(same, same)
    return None if same in program.pruned else same


def _keep_running(old: PlanRun, run: PlanRun, key: str, number: int) -> None:
    """Let what runs under a key be the work of a step of the new program."""
    before = old.running[key]
    run.running[key] = number
    run.status[number] = "running"
    if before in old.asked:
        run.asked[number] = old.asked[before]
    if before in old.until:
        run.until[number] = old.until[before]
    if before in old.tries:
        run.tries[number] = old.tries[before]


def _give_up(state: StrategyState, moment: Moment, old: PlanRun, key: str) -> None:
    """Cancel a step that the new plan does not have."""
    if key not in state.loops:
        moment.draft.cancel.append(f"{key}.batch" if key in old.members else key)
        return
    moment.draft.cancel += [f"{key}.{each}" for each in state.loops.pop(key).open_ids]
