"""A compaction: what a run has on record before a snapshot is deleted, by its owner or by a person."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.errors import Fenced
from agentflow_kernel.run.history import visit_of
from agentflow_kernel.telemetry import get_logger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.journal import Compacts, Journal, Record
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.history import History


def can_compact(journal: Journal) -> bool:
    """Whether the journal has the ability ``compacts``."""
    return hasattr(journal, "compact")


async def shorten(history: History, seq: int) -> None:
    """Delete what the owner of a run has on record before its snapshot ``seq``.

    What goes wrong is told in the log, and the run goes on. Raises :class:`Fenced`: the run has another owner.
    """
    log, run_id = get_logger("agentflow.run"), history.run_id
    if not can_compact(history.journal):
        log.warning("run.not_compacted", run_id=run_id, error="The journal cannot do it; runs.compact has no effect.")
        return
    try:
        gone = await cast("Compacts", history.journal).compact(run_id, seq, history.epoch)
    except Fenced:
        raise
    except Exception as error:  # noqa: BLE001 -- no run may end because nothing could be deleted
        log.warning("run.not_compacted", run_id=run_id, error=str(error))
    else:
        log.info("run.compacted", run_id=run_id, seq=seq, records=gone)


def last_snapshot(records: Sequence[Record]) -> int:
    """The ``seq`` of the last snapshot, 0 without one."""
    return next((record.seq for record in reversed(records) if record.type == "snapshot"), 0)


def lies_before(snapshot: Record, path: str) -> bool:
    """Whether an action lies in a visit that was over when its run made the snapshot; the whole payload is there."""
    position = cast("Mapping[str, Mapping[str, JSON]]", snapshot.payload)["position"]
    if not position or "!compensate" in path:
        return False
    node, _, number = visit_of(path).partition("@")
    return int(number or 1) <= cast("Mapping[str, int]", position["visits"]).get(node, 0)
