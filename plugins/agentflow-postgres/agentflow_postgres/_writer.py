"""A writer: appends that come together go to the server as one statement, which is one transaction.

While one group is on its way the next one gathers. A batch whose run is in the group already joins it where it goes on
in the same place, else it waits for the next group. When the way to the server breaks under a group, the group is sent
again: each batch is compared with the end of its run, so what has been kept by the first sending is recognised.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import anyio
import asyncpg

from agentflow_kernel.contracts.journal import TERMINAL, RunInfo
from agentflow_kernel.errors import AgentFlowError, AppendConflict, CorruptRecord, Fenced
from agentflow_postgres._log import Batch, Head, append, find_heads, holds

if TYPE_CHECKING:
    from agentflow_postgres._link import Connection, Link

MOST_BATCHES = 512
MOST_BYTES = 8 << 20
"""Of one group; a single batch may be larger."""
REMEMBERED = 10_000
"""Heads kept in mind; the oldest makes room."""


class Ticket:
    """A batch on its way, and who waits for it."""

    __slots__ = ("batch", "done")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Entry:
    """What one group appends to one run: a batch and the tickets that it is made of."""

    __slots__ = ("batch", "tickets")

    def __init__(self, ticket: Ticket) -> None:
        batch = ticket.batch
        self.batch = Batch(batch.run_id, batch.expected_seq, batch.epoch, batch.records, batch.lines)
        self.tickets = [ticket]

    def join(self, ticket: Ticket) -> None:
        """Take a batch that goes on where this one ends."""
        self.batch.records += ticket.batch.records
        self.batch.lines += ticket.batch.lines
        self.tickets.append(ticket)

    def settle(self, error: BaseException | None) -> None:
        """Tell those who wait."""
        for ticket in self.tickets:
            if not ticket.done.done():
                ticket.done.set_result(None) if error is None else ticket.done.set_exception(error)
                ticket.done.exception()  # one that was cancelled meanwhile does not ask for it


class Writer:
    """The appends of one journal. Its task ends when there is nothing to do."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._pending: deque[Ticket] = deque()
        self._heads: dict[str, Head] = {}
        self._task: asyncio.Task[None] | None = None

    async def append(self, batch: Batch) -> None:
        """Append one batch; one that is still waiting for its group when it is cancelled is not written."""
        ticket = Ticket(batch)
        self._pending.append(ticket)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work(), name="agentflow-postgres-writer")
        try:
            await asyncio.shield(ticket.done)
        except asyncio.CancelledError:
            if ticket in self._pending:
                self._pending.remove(ticket)
            else:
                with anyio.CancelScope(shield=True):  # it is under way: who reads the head now must see what came of it
                    await asyncio.wait([ticket.done])
            raise

    async def aclose(self) -> None:
        """Return when everything that was accepted is decided."""
        task = self._task
        if task is not None:
            await asyncio.wait([task])

    async def _work(self) -> None:
        try:
            while self._pending:
                await self._write(self._gather())
        finally:
            self._task = None

    def _gather(self) -> list[Entry]:
        """The next group, in the order of run ids, so that two workers never wait for each other crosswise."""
        group: dict[str, Entry] = {}
        later: list[Ticket] = []
        held_up: set[str] = set()
        size = 0
        while self._pending and len(group) < MOST_BATCHES and size < MOST_BYTES:
            ticket = self._pending.popleft()
            batch = ticket.batch
            entry = group.get(batch.run_id)
            if batch.run_id in held_up or (entry is not None and not entry.batch.takes(batch)):
                held_up.add(batch.run_id)
                later.append(ticket)
                continue
            size += sum(map(len, batch.lines))
            if entry is None:
                group[batch.run_id] = Entry(ticket)
            else:
                entry.join(ticket)
        self._pending.extendleft(reversed(later))
        return [group[run_id] for run_id in sorted(group)]

    async def _write(self, group: list[Entry]) -> None:
        """Decide a group. What is wrong with one batch does not harm the others."""
        try:
            await self._link.run(Sending(self, group), make=True)
        except Exception as error:  # noqa: BLE001 -- it belongs to those who wait
            refused = not isinstance(error.__cause__, asyncpg.PostgresError)
            open_ = [entry for entry in group if any(not ticket.done.done() for ticket in entry.tickets)]
            if refused or len(open_) < 2:
                self._fail(open_, error)
                return
            for entry in open_:  # one of them is what the server refuses
                await self._write([entry])
        except BaseException as error:
            self._fail(group, error)
            raise

    def _fail(self, entries: list[Entry], error: BaseException) -> None:
        for entry in entries:
            self._heads.pop(entry.batch.run_id, None)
            entry.settle(error)

    def recall(self, batch: Batch) -> Head | None:
        """The head that a batch follows, where it is known without asking."""
        if batch.expected_seq == 0 and batch.records:
            return Head(RunInfo(batch.run_id), "")
        head = self._heads.get(batch.run_id)
        known = head is not None and head.info.next_seq == batch.expected_seq and head.info.epoch <= batch.epoch
        return head if known and batch.records else None

    def keep(self, head: Head) -> None:
        """Remember where a run stands now."""
        self._heads.pop(head.info.run_id, None)
        if head.info.status in TERMINAL:
            return
        if len(self._heads) >= REMEMBERED:
            del self._heads[next(iter(self._heads))]
        self._heads[head.info.run_id] = head


class Sending:
    """The attempts to bring one group to the server; each call is one more."""

    def __init__(self, writer: Writer, group: list[Entry]) -> None:
        self._writer = writer
        self._open = group
        self._sent = False
        """Whether an attempt has got so far that the server may have kept the group."""

    async def __call__(self, connection: Connection) -> None:
        """Append what is open; raises only what concerns the whole group."""
        await self._place(connection)
        if not self._open:
            return
        again, self._sent = self._sent, True
        kept = await append(connection, [entry.batch for entry in self._open])
        missed = []
        for entry in self._open:
            if entry.batch.run_id in kept:
                self._settle(entry)
            else:
                missed.append(entry)
        self._open = missed
        if missed:
            await self._explain(connection, again=again)

    async def _place(self, connection: Connection) -> None:
        """Find out what each batch follows; those that follow nothing are refused here."""
        unknown = [entry for entry in self._open if entry.batch.after is None and self._find(entry) is None]
        if not unknown:
            return
        heads = await find_heads(connection, [entry.batch.run_id for entry in unknown])
        for entry in unknown:
            batch = entry.batch
            found = heads.get(batch.run_id)
            head = Head(RunInfo(batch.run_id), "") if found is None else found
            if not isinstance(head, Head) or head.info.epoch > batch.epoch or head.info.next_seq != batch.expected_seq:
                self._refuse(entry, refusal(batch, head))
            elif not batch.records:
                self._open.remove(entry)
                entry.settle(None)
            else:
                self._follow(entry, head)

    def _find(self, entry: Entry) -> Head | None:
        head = self._writer.recall(entry.batch)
        if head is not None:
            self._follow(entry, head)
        return head

    def _follow(self, entry: Entry, head: Head) -> None:
        try:
            entry.batch.follow(head)
        except Exception as error:  # noqa: BLE001 -- also a payload that does not suit a head: it belongs to its batch
            self._refuse(entry, error)

    async def _explain(self, connection: Connection, *, again: bool) -> None:
        """Say why batches were not kept, or see that they had been kept by an attempt whose answer was lost."""
        heads = await find_heads(connection, [entry.batch.run_id for entry in self._open])
        for entry in list(self._open):
            head = heads.get(entry.batch.run_id, Head(RunInfo(entry.batch.run_id), ""))
            if again and isinstance(head, Head) and await holds(connection, entry.batch):
                self._settle(entry, None if head.info.epoch > entry.batch.epoch else entry.batch.after)
                self._open.remove(entry)
            else:
                self._refuse(entry, refusal(entry.batch, head))

    def _settle(self, entry: Entry, head: Head | None = None) -> None:
        head = head or entry.batch.after
        if head is not None:
            self._writer.keep(head)
        entry.settle(None)

    def _refuse(self, entry: Entry, error: Exception) -> None:
        self._open.remove(entry)
        self._writer._fail([entry], error)  # noqa: SLF001 -- one room


def refusal(batch: Batch, head: Head | CorruptRecord) -> AgentFlowError:
    """Why a batch does not go on at the end of its run."""
    if isinstance(head, CorruptRecord):
        return head
    if head.info.epoch > batch.epoch:
        return Fenced(batch.run_id, batch.epoch, head.info.epoch)
    return AppendConflict(batch.run_id, batch.expected_seq, head.info.next_seq)
