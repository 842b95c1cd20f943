"""Sharing: that no two steps write one key of the state at the same time (P012)."""

from __future__ import annotations

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_planner_llm.plan.finding import CONFLICT
from agentflow_planner_llm.plan.ways import ancestors_of, contradicts, guards_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_planner_llm.plan.graph import Graph


def check_sharing(graph: Graph, places: Mapping[str, int], found: list[PlanFinding]) -> None:
    """P012: writers of a key follow each other, exclude each other, or are merged by a reducer."""
    writers: dict[str, list[int]] = {}
    for key, number in graph.writes():
        those = writers.setdefault(key, [])
        if number not in those[-1:]:  # one that names a key twice is one writer
            those.append(number)
    shared = {key: those for key, those in writers.items() if len(those) > 1 and not _reduced(graph, key)}
    if not shared:
        return
    before = ancestors_of(graph)
    guards = guards_of(graph)
    position = {number: place for place, number in enumerate(graph.topological)}
    for key, those in shared.items():
        ordered = sorted(those, key=position.__getitem__)
        for place, later in enumerate(ordered):
            for earlier in ordered[:place]:
                if before[later] >> earlier & 1 or contradicts(guards[earlier], guards[later]):
                    continue
                one, other = graph.steps[earlier].id, graph.steps[later].id
                text = f"Steps {one!r} and {other!r} may write the key {key!r} of the state at the same time."
                advice = f"Let {other!r} need {one!r}, or give the key a reducer."
                where = ("steps", places[other], "writes")
                found.append(PlanFinding(CONFLICT, text, *where, step=other, suggestion=advice))
                break


def _reduced(graph: Graph, key: str) -> bool:
    declared = graph.plan.state.get(key)
    return declared is not None and declared.reducer is not None
