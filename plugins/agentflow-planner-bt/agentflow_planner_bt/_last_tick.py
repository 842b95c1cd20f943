"""A last tick: how the nodes of a tree stood when its run ended, which the tree itself forgets as it ends.

Nodes are IDLE once what holds them is done, and ticks are noted only for those who listen. So the last tick is done
once more from what was stored before it: ticks decide by memory and observation alone, and act on nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_planner_bt.status import IDLE, RUNNING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.contracts.planner import Observation
    from agentflow_planner_bt._compiler import Placed
    from agentflow_planner_bt._machine import Machine

_MOST = 8


class Since:
    """What a run has observed since it was stored; of more than a few observations none is kept."""

    __slots__ = ("stored", "observations")

    def __init__(self) -> None:
        self.stored: Any = None
        """The machine as it was stored last, ``None`` for one that has not begun."""
        self.observations: list[Observation] | None = []

    def take(self, observation: Observation) -> None:
        """Note one observation."""
        if self.observations is not None:
            if len(self.observations) < _MOST:
                self.observations.append(observation)
            else:
                self.observations = None  # a run that is not stored: nobody will ask

    def begin(self, stored: Any) -> None:
        """The run is stored now, as this."""
        self.stored = stored
        self.observations = []


def last_statuses(machine: Machine, since: Since, again: Callable[[Observation], object]) -> list[int] | None:
    """The status that each node had at the end, ``None`` where that is not known.

    ``machine`` is a fresh one of the same tree, and ``again`` lets it observe something once more.
    """
    if not since.observations:
        return None
    if since.stored is not None:
        machine.load(since.stored)
    before: list[int] = []
    for observation in since.observations:
        before = [machine.m[node.slot] for node in machine.compiled.nodes]
        observation.traced = True
        again(observation)
    found = [IDLE if status == RUNNING else status for status in before]
    for number, status in machine.run.trace or ():
        found[number] = status
    return found


def where_it_broke(nodes: list[Placed], path: str) -> set[int]:
    """The places of the node that raised and of all that hold it; none for a path that no node has."""
    at = next((number for number, node in enumerate(nodes) if node.path == path), -1)
    found: set[int] = set()
    while at >= 0:
        found.add(at)
        at = nodes[at].parent
    return found
