"""A pruning: runs that ended long enough ago are deleted from the journal, whole; by hand, or as ``runs.keep`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.contracts.values import Value
from agentflow_kernel.errors import Unsupported, UsageError
from agentflow_kernel.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from anyio.abc import TaskGroup

    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.journal import Journal, Prunes

TOGETHER = 50
"""Runs deleted in one transaction, at most."""
PAUSE_S = 0.05
"""Between two transactions, so that writers have their turn."""
EVERY_S = 3600.0
LISTED = 1_000_000
"""Runs that a listing considers, at most."""


class Pruned(Value):
    """What a pruning has deleted: runs by id, and how many payloads that were stored apart."""

    __slots__ = ("run_ids", "blobs")

    def __init__(self, run_ids: Sequence[str], blobs: int) -> None:
        self.run_ids = run_ids
        self.blobs = blobs


async def prune(
    journal: Journal, clock: Clock, older_than_s: float, statuses: Collection[str] = TERMINAL, *, dry_run: bool = False
) -> Pruned:
    """See :meth:`~agentflow_kernel.kernel.operations.RunOperations.prune`."""
    if not older_than_s >= 0:
        raise UsageError(f"older_than_s is {older_than_s!r}: expected a number of seconds from 0 on.")
    unfit = sorted(set(statuses).difference(TERMINAL))
    if unfit:
        raise UsageError(
            f"Runs of status {unfit[0]!r} cannot be deleted: only those that have ended, "
            "completed, failed or cancelled."
        )
    if not can_prune(journal):
        raise Unsupported("Deleting runs", "this journal has no way to do that (no ability `prunes`).")
    before = clock.now() - older_than_s
    if dry_run:
        heads = [head for status in sorted(statuses) for head in await journal.runs(status=status, limit=LISTED)]
        heads.sort(key=lambda head: head.updated_at)
        return Pruned([head.run_id for head in heads if head.updated_at < before], 0)
    return await _delete(cast("Prunes", journal), clock, before, statuses, always=True)


def can_prune(journal: Journal) -> bool:
    """Whether the journal has the ability ``prunes``."""
    return hasattr(journal, "prune") and hasattr(journal, "collect")


async def _delete(journal: Prunes, clock: Clock, before: float, statuses: Collection[str], *, always: bool) -> Pruned:
    """Delete runs in small batches, then payloads: ``always``, or only after a run has gone."""
    gone: list[str] = []
    while some := await journal.prune(before, statuses, limit=TOGETHER):
        gone.extend(some)
        await clock.sleep(PAUSE_S)
    blobs = await journal.collect() if gone or always else 0
    return Pruned(gone, blobs)


class Retention:
    """Deletes what has ended ``keep_s`` ago, at once and then every hour, as long as the kernel is open.

    It begins with the first run that is at work here: a kernel that only looks deletes nothing.
    """

    def __init__(self, journal: Journal, clock: Clock, keep_s: float) -> None:
        self._journal = journal
        self._clock = clock
        self._keep_s = keep_s
        self._begun = False

    def begin(self, group: TaskGroup) -> None:
        """Work in this group; may be called again."""
        if not self._begun:
            self._begun = True
            group.start_soon(self._work)

    async def _work(self) -> None:
        log = get_logger("agentflow.kernel")
        if not can_prune(self._journal):
            log.warning("runs.not_pruned", error="The journal cannot delete runs; runs.keep has no effect.")
            return
        while True:
            try:
                before = self._clock.now() - self._keep_s
                pruned = await _delete(cast("Prunes", self._journal), self._clock, before, TERMINAL, always=False)
            except Exception as error:  # noqa: BLE001 -- no run may end because nothing could be deleted
                log.warning("runs.not_pruned", error=str(error))
            else:
                if pruned.run_ids:
                    log.info("runs.pruned", runs=len(pruned.run_ids), payloads=pruned.blobs)
            await self._clock.sleep(EVERY_S)
