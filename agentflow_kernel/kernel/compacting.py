"""A compacting by hand: what one run has on record before its last snapshot is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agentflow_kernel.contracts.journal import compacted_to
from agentflow_kernel.errors import Fenced, RunBusy, Unsupported
from agentflow_kernel.run.compaction import can_compact, last_snapshot

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Compacts
    from agentflow_kernel.kernel.runs import Runs


async def compact(runs: Runs, run_id: str, *, dry_run: bool = False) -> int:
    """See :meth:`~agentflow_kernel.kernel.operations.RunOperations.compact`."""
    if not can_compact(runs.journal):
        raise Unsupported("Deleting what lies before a snapshot", "this journal has no ability `compacts`.")
    head = await runs.journal.head(run_id)
    records = await runs.records(run_id)
    seq = last_snapshot(records)
    if dry_run or not seq:
        return max(seq - max(compacted_to(records), 1), 0)
    try:
        return await cast("Compacts", runs.journal).compact(run_id, seq, head.epoch)
    except Fenced as error:
        raise RunBusy(run_id, "that has just taken it") from error
