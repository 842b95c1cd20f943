"""Always replay: a mode in which a run forgets everything after each of its records and is resumed from the journal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from agentflow_kernel.errors import AppendConflict
from agentflow_kernel.kernel import runs
from agentflow_kernel.run.execute import Execution
from agentflow_kernel.run.history import History
from agentflow_kernel.run.runtime import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentflow_kernel.run.history import Line

FORGETS_AFTER = frozenset(("step.completed", "decision", "timer.fired", "wait.resolved"))
"""Types of the records that a run's own work makes and after which it can be resumed."""


@contextmanager
def always_replay() -> Iterator[None]:
    """Let each run of a kernel with a journal be broken off after each of its records and go on from the journal.

    What is in flight beside the step on record is done again, so a run is not broken off while an effect is open that
    must not happen twice. What keeps anything in memory between two steps of a run fails; that is what it is for.
    """
    names = vars(runs)
    before, names["Execution"] = names["Execution"], ReplayingExecution
    try:
        yield
    finally:
        names["Execution"] = before


class ReplayingExecution(Execution):
    """One run at work, in many lives."""

    __slots__ = ()

    async def _walk(self) -> object:
        history = self.run.history
        if history is None:
            return await super()._walk()
        while True:
            with anyio.CancelScope() as scope:
                forgetful = self.run.history = _Forgetful(history, scope)
                return await super()._walk()
            if forgetful.broken is not None:  # of what was in flight beside the step on record
                raise forgetful.broken
            with anyio.CancelScope(shield=True):
                history = await self._resumed(forgetful)
            self.run.history, self.run._standing = history, None  # noqa: SLF001 -- what a new owner begins with
            self.frame = Frame(self.run, self.start.graph, self.value)

    async def _resumed(self, before: History) -> History:
        """The history as a new owner finds it."""
        while True:
            history = History(
                before.journal, before.run_id, clock=before.clock, epoch=before.epoch + 1, limits=before.limits
            )
            await history.load(await before.journal.read(before.run_id))
            owner = (await before.journal.head(before.run_id)).owner
            try:
                await history.commit([("lease", "", {"owner": owner}, "", 0)])
            except AppendConflict:  # a signal came in between
                continue
            history.steps = before.steps
            return history


class _Forgetful(History):
    """A history that breaks its owner off after each record."""

    __slots__ = ("_open", "_scope")

    def __init__(self, history: History, scope: anyio.CancelScope) -> None:
        for name in History.__slots__:
            setattr(self, name, getattr(history, name))
        self._scope = scope
        self._open: set[str] = set()
        """Effects under way."""

    async def commit(self, lines: Sequence[Line]) -> int:
        first = await super().commit(lines)
        for kind, path, *_ in lines:
            if kind == "step.intent":
                self._open.add(path)
            elif kind in {"step.completed", "step.failed"}:
                self._open.discard(path)
        if not self._open and any(line[0] in FORGETS_AFTER for line in lines):
            self._scope.cancel()
            await anyio.lowlevel.checkpoint()
        return first
