"""Adoption: a worker finds the runs whose owner is gone, and goes on with those that it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from agentflow_kernel.kernel.recovery import recover
from agentflow_kernel.run.beginning import until_begun
from agentflow_kernel.telemetry import current_meter, get_logger

if TYPE_CHECKING:
    from collections.abc import Collection

    from agentflow_kernel.kernel.runs import Runs
    from agentflow_kernel.kernel.wiring import Wiring

LOOK_EVERY_S = 5.0
LISTED = 10_000
"""Runs that one look considers, the newest; it looks at more only where none of these can be taken."""
HANDED_OVER = "handover"
"""Cause of a suspension by a worker that ends in order: another worker goes on at once."""
CAUSES = frozenset(("crash", HANDED_OVER))
"""Nobody has asked for these runs to stop."""


class Adoption:
    """Works as long as the kernel is open: one look at once, then one every five seconds."""

    cause = HANDED_OVER
    """What the runs of this kernel are suspended for when it closes."""

    def __init__(self, runs: Runs, wiring: Wiring) -> None:
        self._runs = runs
        self._wiring = wiring
        self._refused: dict[str, int] = {}
        """Runs that could not be resumed here, and their epoch then: they are not tried again before it changes."""
        self._unservable = 0
        self._scope = anyio.CancelScope()
        self._begun = False
        self._ended = anyio.Event()

    async def work(self) -> None:
        """Look until :meth:`stop`; a journal that does not answer is asked again."""
        try:
            self._begun = True
            with self._scope:
                while True:
                    await self._try_to_look()
                    await self._wiring.clock.sleep(LOOK_EVERY_S)
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Take nothing over any more; no run is half taken when this returns."""
        self._scope.cancel()
        if not self._begun:
            await until_begun()
        if self._begun:
            await self._ended.wait()

    async def _try_to_look(self) -> None:
        try:
            await self._look()
        except Exception as error:  # noqa: BLE001 -- whatever it is, no worker may stop adopting because of it
            get_logger("agentflow.kernel").warning("runs.not_adopted", error=str(error))

    async def _look(self) -> None:
        """Recover what there is, apart from runs that somebody has stopped himself and those that were refused here."""
        if not await _may_be_left(self._runs):
            self._count_unservable(0)
            self._refused.clear()
            return
        limit, found = LISTED, dict[str, int]()
        while not found:
            infos = await self._runs.infos(status="suspended", limit=limit)
            left = [info for info in infos if info.cause in CAUSES]
            served = [info for info in left if self._wiring.serves(info.name)]
            found = {info.run_id: info.epoch for info in served if self._refused.get(info.run_id) != info.epoch}
            if len(infos) < limit:
                self._refused = {info.run_id: info.epoch for info in served if info.run_id not in found}
                break
            limit *= 4
        self._count_unservable(len(left) - len(served))
        if not found:
            return
        recovery = await recover(self._runs, tuple(found))
        resumed = {handle.run_id for handle in recovery.handles}
        self._refused.update((run_id, epoch) for run_id, epoch in found.items() if run_id not in resumed)

    def _count_unservable(self, count: int) -> None:
        """Tell how many runs wait for a worker that has their flow."""
        change, self._unservable = count - self._unservable, count
        if not change:
            return
        if count:
            get_logger("agentflow.kernel").warning("runs.unservable", runs=count)
        meter = current_meter()
        if meter is not None:
            from agentflow_kernel.run.metrics import instruments_of  # only where somebody listens

            instruments_of(meter).unservable.add(change)


async def _may_be_left(runs: Runs) -> bool:
    """Whether a run may have no owner, or be handed over; cheap where the journal can tell."""
    tally = getattr(runs.journal, "tally", None)
    if tally is None:
        return True
    counted: Collection[tuple[str, str, int]] = await tally()
    owners = {owner: number for owner, cause, number in counted if not cause}
    if "" in owners or any(cause in CAUSES for _, cause, _ in counted):
        return True
    if owners.pop(runs._owner, 0) > len(runs._handles):  # noqa: SLF001 -- one room
        return True
    return not owners.keys() <= set(await runs._alive(owners))  # noqa: SLF001 -- one room
