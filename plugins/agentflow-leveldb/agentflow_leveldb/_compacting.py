"""A compacting: the records of a run between its first and a snapshot leave the store, for readers all at once."""

from __future__ import annotations

from agentflow_kernel.contracts.journal import check_snapshot
from agentflow_kernel.errors import Fenced, UnknownRun
from agentflow_leveldb._reading import read_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_leveldb._opened import Transaction

MOST_RECORDS = 5000
"""Deleted with one synced write, so that no append waits long."""


def compact_run(transaction: Transaction, run_id: str, seq: int, epoch: int) -> int:
    """Hide what lies between, and delete some of it; how many went. It is done when fewer than most of them do."""
    head = transaction.head(run_id)
    if head is None:
        raise UnknownRun(run_id)
    if head.info.epoch > epoch:
        raise Fenced(run_id, epoch, head.info.epoch)
    base = transaction.base(run_id)
    if seq > base or seq < 1:
        check_snapshot(run_id, seq, read_records(transaction.opened, run_id, seq))
        base = seq
    return transaction.compact(run_id, base, MOST_RECORDS)
