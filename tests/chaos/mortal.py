"""Mortal stores: what a process writes durably with, and the doom that ends the process at one of its operations."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import anyio
import anyio.lowlevel

from agentflow_kernel.kernel import triggers
from agentflow_kernel.kernel.cursors import CursorStore
from agentflow_kernel.testing.faults import CrashAt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from agentflow_kernel.contracts.journal import Compacts, Journal, Record, RunInfo
    from agentflow_kernel.contracts.memory import Memory
    from agentflow_kernel.contracts.values import JSON


class ProcessDied(Exception):
    """The process is gone; nothing it does from here on counts."""


class Doom:
    """Counts durable operations. At that of the fault the process is gone, before it is carried out or after."""

    def __init__(self, fault: CrashAt | None = None) -> None:
        self._fault = fault or CrashAt(0, "before")
        self.operations = 0
        self.dead = False
        self._begun = self._at_work = 0
        self._turn = anyio.Lock()

    def _ends(self, place: str) -> str:
        """Count an operation: ``before`` or ``after`` where the process ends at it, else empty."""
        self.check()
        self.operations += 1
        ending = self._fault.end_of_process(self.operations, place, 1, 0.0)
        return ending[1] if ending is not None else ""

    async def durably(self, place: str, operation: Callable[[], Awaitable[Any]]) -> Any:
        """Carry out one operation, as a disk would: one after another."""
        async with self._turn:
            await anyio.lowlevel.checkpoint()
            when = self._ends(place)
            if not when:
                return await self.during(operation)
            if when == "after":
                await self.during(operation)
            self.dead = True
            raise ProcessDied

    def durably_in_thread(self, place: str, operation: Callable[[], None]) -> None:
        """Carry out one operation of a thread."""
        when = self._ends(place)
        if not when:
            return operation()
        if when == "after":
            operation()
        self.dead = True
        raise ProcessDied

    async def during(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        """Carry out what the clock has to wait for."""
        self._begun += 1
        self._at_work += 1
        try:
            return await operation()
        finally:
            self._at_work -= 1

    def progress(self) -> int | None:
        """Operations so far, those that only read included; ``None`` in the middle of one."""
        return None if self._at_work else self._begun

    def check(self) -> None:
        """Refuse whatever a dead process still tries."""
        if self.dead:
            raise ProcessDied


class MortalJournal:
    """A journal as a process that may die uses it; what it holds outlives the process."""

    def __init__(self, store: Journal, doom: Doom) -> None:
        self.store = store
        self.doom = doom

    async def append(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        place = f"append {'+'.join(record.type for record in records)}"
        await self.doom.durably(place, lambda: self.store.append(run_id, expected_seq, epoch, records))

    async def put_blob(self, data: bytes) -> str:
        ref: str = await self.doom.durably("put_blob", lambda: self.store.put_blob(data))
        return ref

    async def compact(self, run_id: str, seq: int, epoch: int) -> int:
        store = cast("Compacts", self.store)
        count: int = await self.doom.durably("compact", lambda: store.compact(run_id, seq, epoch))
        return count

    async def read(self, run_id: str, from_seq: int = 0) -> Sequence[Record]:
        return await self._looking(lambda: self.store.read(run_id, from_seq))

    async def head(self, run_id: str) -> RunInfo:
        await anyio.lowlevel.checkpoint()
        return await self._looking(lambda: self.store.head(run_id))

    async def runs(self, *, status: str | None = None, limit: int = 100) -> Sequence[RunInfo]:
        return await self._looking(lambda: self.store.runs(status=status, limit=limit))

    async def get_blob(self, ref: str) -> bytes:
        return await self._looking(lambda: self.store.get_blob(ref))

    async def _looking(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        self.doom.check()
        return await self.doom.during(operation)

    async def aclose(self) -> None:
        """The store stays open for the next process."""


class MortalMemory:
    """A memory as a process that may die uses it."""

    def __init__(self, store: Memory, doom: Doom) -> None:
        self.store = store
        self.doom = doom

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            if name in ("put", "delete"):
                return await self.doom.durably(f"memory {name}", lambda: method(*arguments, **options))
            return await self.doom.during(lambda: method(*arguments, **options))

        return call


class MortalCursors(CursorStore):
    """The cursor of a trigger as a process that may die saves it."""

    def __init__(self, state_folder: str, trigger: str, *, doom: Doom) -> None:
        super().__init__(state_folder, trigger)
        self.doom = doom

    def save(self, cursor: JSON) -> None:
        """One durable operation more."""
        self.doom.durably_in_thread("cursor", partial(super().save, cursor))


@contextmanager
def mortal_cursors(doom: Doom) -> Iterator[None]:
    """Every trigger that is fired meanwhile saves its cursor so."""
    with mock.patch.object(triggers, "CursorStore", partial(MortalCursors, doom=doom)):
        yield
