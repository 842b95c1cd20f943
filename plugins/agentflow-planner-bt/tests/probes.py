"""Probes: leaves that note what is done with them, and trees made of short words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_planner_bt.tree import Tree

if TYPE_CHECKING:
    from agentflow_planner_bt.leaf import Context
    from agentflow_planner_bt.status import Status


class Probe:
    """A stateful leaf that follows a script, starts at its beginning each time, and notes its life in ``log``."""

    def __init__(self, log: list[str], name: str, *statuses: str) -> None:
        self.log = log
        self.name = name
        self.statuses = statuses

    def start(self, context: Context) -> str:
        """The first status."""
        self.log.append(f"{self.name}.start")
        context.memory["at"] = 0
        return self.statuses[0]

    def running(self, context: Context) -> str:
        """The next status, the last one for ever."""
        context.memory["at"] += 1
        return self.statuses[min(context.memory["at"], len(self.statuses) - 1)]

    def halted(self) -> None:
        """Noted."""
        self.log.append(f"{self.name}.halted")

    def end(self, context: Context, status: Status) -> None:
        """Noted, with the status."""
        self.log.append(f"{self.name}.end {status}")


def probes(**scripts: str) -> tuple[list[str], dict[str, Probe]]:
    """Leaves by name, each with the statuses of its life: ``a="running success"``; and what they note."""
    log: list[str] = []
    return log, {name: Probe(log, name, *script.split()) for name, script in scripts.items()}


def given(*statuses: str) -> dict[str, Any]:
    """A leaf that gives these statuses, tick by tick."""
    return {"scripted": list(statuses)}


def ticks(source: Any, count: int = 1, leaves: Any = None, **options: Any) -> list[str]:
    """What so many ticks of a tree give."""
    tree = Tree.load(source, leaves, **options)
    return [str(tree.tick()) for _ in range(count)]


S, F, R, K = "SUCCESS", "FAILURE", "RUNNING", "SKIPPED"
YES, NO, ON = {"always_success": None}, {"always_failure": None}, {"always_running": None}
SKIP = {"always_success": None, "skip_if": "true"}
