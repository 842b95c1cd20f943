"""Auditing of real processes: what the auditor is told of a journal between two of them, and what it says then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows import CASES
from process import open_journal

from agentflow_kernel.contracts.journal import TERMINAL

if TYPE_CHECKING:
    from agentflow_kernel.testing.auditor import Auditor
    from agentflow_kernel.testing.effects import Ledger as Effects


async def crash_of(auditor: Auditor, journal: str, state: str, process: int) -> int:
    """Tell the auditor what was on record when a process ended; how many runs were under way."""
    opened = open_journal(journal, state)
    try:
        await auditor.crashed(opened, process)
        return sum(info.status not in TERMINAL for info in await opened.runs(limit=1_000_000))
    finally:
        await opened.aclose()


async def audited(auditor: Auditor, journal: str, state: str) -> Any:
    """Everything that the auditor has to say at the end."""
    opened = open_journal(journal, state)
    try:
        for info in await opened.runs(limit=1_000_000):
            auditor.accept(info.run_id)
        return await auditor.audit(opened)
    finally:
        await opened.aclose()


def problems_of(effects: Effects, runs: dict[str, str]) -> list[str]:
    """Effects that a run's case names and the ledger lacks, or the other way round."""
    found: dict[str, set[str]] = {run_id: set() for run_id in runs}
    for effect in effects.effects:
        found[effect.run_id].add(effect.path)
    problems = []
    for run_id, paths in found.items():
        case = CASES[runs[run_id]]
        problems += [f"{case.name}: lost {path}" for path in case.effects - paths]
        problems += [f"{case.name}: unforeseen {path}" for path in paths - case.effects - case.perhaps]
    return problems
