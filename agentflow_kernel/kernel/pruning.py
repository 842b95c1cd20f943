"""A pruning: runs that ended long enough ago are deleted from the journal, whole; by hand, or as ``runs.keep`` says."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, cast

import anyio.to_thread

from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.contracts.values import Value
from agentflow_kernel.errors import Unsupported, UsageError
from agentflow_kernel.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from anyio.abc import TaskGroup

    from agentflow_kernel.contracts.journal import Journal, Prunes
    from agentflow_kernel.kernel.runs import Runs

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
    runs: Runs, older_than_s: float, statuses: Collection[str] = TERMINAL, *, dry_run: bool = False
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
    journal, clock = runs.journal, runs.clock
    if not can_prune(journal):
        raise Unsupported("Deleting runs", "this journal has no way to do that (no ability `prunes`).")
    before = clock.now() - older_than_s
    if dry_run:
        heads = [head for status in sorted(statuses) for head in await journal.runs(status=status, limit=LISTED)]
        heads.sort(key=lambda head: head.updated_at)
        return Pruned([head.run_id for head in heads if head.updated_at < before], 0)
    return await _delete(runs, before, statuses, always=True)


def can_prune(journal: Journal) -> bool:
    """Whether the journal has the ability ``prunes``."""
    return hasattr(journal, "prune") and hasattr(journal, "collect")


async def _delete(runs: Runs, before: float, statuses: Collection[str], *, always: bool) -> Pruned:
    """Delete runs in small batches, with their files, then payloads: ``always``, or only after a run has gone."""
    journal, folders = cast("Prunes", runs.journal), _folders(runs)
    gone: list[str] = []
    while some := await journal.prune(before, statuses, limit=TOGETHER):
        gone.extend(some)
        if folders:
            await anyio.to_thread.run_sync(_delete_files, folders, some)
        await runs.clock.sleep(PAUSE_S)
    blobs = await journal.collect() if gone or always else 0
    return Pruned(gone, blobs)


def _folders(runs: Runs) -> list[str]:
    """The folders of this machine that have a folder for each run, named by its id."""
    wiring = runs._wiring  # noqa: SLF001 -- one room
    inbox = None if wiring.state is None else os.path.join(wiring.state, "inbox")
    return [folder for folder in (wiring.artifacts, inbox) if folder is not None]


def _delete_files(folders: Sequence[str], run_ids: Sequence[str]) -> None:
    """Delete the folders of runs; what cannot be deleted stays, and so does a run's id that is no plain name."""
    for folder in folders:
        for run_id in run_ids:
            if os.path.basename(run_id) == run_id not in ("", os.curdir, os.pardir):
                shutil.rmtree(os.path.join(folder, run_id), ignore_errors=True)


class Retention:
    """Deletes what has ended ``keep_s`` ago, at once and then every hour, as long as the kernel is open.

    It begins with the first run that is at work here: a kernel that only looks deletes nothing.
    """

    def __init__(self, runs: Runs, keep_s: float) -> None:
        self._runs = runs
        self._keep_s = keep_s
        self._begun = False

    def begin(self, group: TaskGroup) -> None:
        """Work in this group; may be called again."""
        if not self._begun:
            self._begun = True
            group.start_soon(self._work)

    async def _work(self) -> None:
        log = get_logger("agentflow.kernel")
        clock = self._runs.clock
        if not can_prune(self._runs.journal):
            log.warning("runs.not_pruned", error="The journal cannot delete runs; runs.keep has no effect.")
            return
        while True:
            try:
                pruned = await _delete(self._runs, clock.now() - self._keep_s, TERMINAL, always=False)
            except Exception as error:  # noqa: BLE001 -- no run may end because nothing could be deleted
                log.warning("runs.not_pruned", error=str(error))
            else:
                if pruned.run_ids:
                    log.info("runs.pruned", runs=len(pruned.run_ids), payloads=pruned.blobs)
            await clock.sleep(EVERY_S)
