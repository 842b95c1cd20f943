"""The runs of an open kernel: started, resumed, looked up, suspended when the kernel closes."""

from __future__ import annotations

import warnings
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import anyio

from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.errors import AppendConflict, CorruptRecord, Fenced, RunBusy, UnknownRun, UsageError
from agentflow_kernel.event import uuid7
from agentflow_kernel.inprocess.bus import InProcessBus
from agentflow_kernel.inprocess.journal import InProcessJournal
from agentflow_kernel.kernel.durability import NotDurableWarning
from agentflow_kernel.kernel.pins import check_pins
from agentflow_kernel.kernel.triggers import subscribe
from agentflow_kernel.kernel.verdict import NONE
from agentflow_kernel.run.canonical import to_json
from agentflow_kernel.run.execute import Execution
from agentflow_kernel.run.folder import FolderInbox, FolderLeases
from agentflow_kernel.run.handle import RunHandle, at_rest
from agentflow_kernel.run.history import History
from agentflow_kernel.run.runtime import Run
from agentflow_kernel.run.watch import InboxWatch, take_in
from agentflow_kernel.telemetry import current_tracer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Collection, Coroutine, Mapping, Sequence
    from typing import Any

    from anyio.abc import TaskGroup

    from agentflow_kernel.agent import Agent
    from agentflow_kernel.contracts.bus import Handler, Outcome
    from agentflow_kernel.contracts.journal import Inbox, Journal, Leases, Record, Request, RunInfo
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.event import Event
    from agentflow_kernel.inprocess.bus import InProcessSubscription
    from agentflow_kernel.kernel.adoption import Adoption
    from agentflow_kernel.kernel.pruning import Retention
    from agentflow_kernel.kernel.verdict import Verdict
    from agentflow_kernel.kernel.wiring import Wiring
    from agentflow_kernel.run.flow import Flow
    from agentflow_kernel.run.history import Line

    Prepared = tuple[Record, History]
    """The first record of a run, and its history as its next owner has it."""

_NOT_DURABLE = "This kernel has no journal: its runs are lost when the process ends. Name a Journal to keep them."
OPEN_STATUSES = ("queued", "running", "waiting")


class KernelBus(InProcessBus):
    """The bus of a kernel: where there are traces an event takes that of its publisher along, and is handled in it."""

    async def publish(self, event: Event) -> None:
        """Return when every matching subscription has room for the event and holds it."""
        if current_tracer() is not None:
            from agentflow_kernel.run.propagation import stamped  # only where somebody listens

            event = stamped(event)
        await super().publish(event)

    def add(self, pattern: str, handler: Handler, *, group: str = "", max_in_flight: int = 16) -> InProcessSubscription:
        """Start calling ``handler``."""

        def handle(event: Event) -> Awaitable[Outcome | None]:
            if current_tracer() is None:
                return handler(event)
            from agentflow_kernel.run.propagation import deliver  # only where somebody listens

            return deliver(handler, event)

        return super().add(pattern, handle, group=group, max_in_flight=max_in_flight)


class Runs:
    """Everything of a kernel that lives in its event loop: task group, bus, journal, ownership and the runs."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._group: TaskGroup = anyio.create_task_group()
        self._handles: dict[str, RunHandle] = {}
        wiring.handles = self._handles
        self.clock = wiring.clock
        self.journal: Journal
        """Where the histories are; chosen when the kernel is opened."""
        self._durable = False
        self._unasked = False
        """Whether nobody named a journal and nobody was told yet what that means."""
        self._leases: Leases | None = None
        self._inbox: Inbox | None = None
        self._owner = ""
        self._owning = anyio.Lock()
        self._starting: set[str] = set()
        """Runs that are just being put on record here."""
        self._watch: InboxWatch | None = None
        self._adoption: Adoption | None = None
        self._retention: Retention | None = None
        self._interrupt: KeyboardInterrupt | None = None
        """What a run was interrupted by: it ends the kernel."""
        self._abandoned: list[Coroutine[Any, Any, None]] = []
        """The work of runs that were settled before their tasks had begun."""
        self._claims: dict[str, anyio.Lock] = {}
        """Runs that are just being taken up here."""

    async def open(self, subscribers: Sequence[tuple[str, Handler]]) -> None:
        """Build the journal and the bus, begin the task group, subscribe the handlers."""
        self.journal, self._durable = self._choose_journal()
        state = self._wiring.state
        self._leases = getattr(self.journal, "leases", None) or (None if state is None else FolderLeases(state))
        self._inbox = getattr(self.journal, "inbox", None) or (None if state is None else FolderInbox(state))
        await self._group.__aenter__()
        bus = self._wiring.bus = (self._wiring.make_bus or KernelBus)(self._group, clock=self._wiring.clock)
        bus.on_dead_letter = self._wiring.tell_dead_letter
        for pattern, handler in subscribers:
            bus.add(pattern, handler)
        subscribe(self._wiring, self)
        if self._wiring.adopt:
            from agentflow_kernel.kernel.adoption import Adoption  # only workers pay

            self._adoption = Adoption(self, self._wiring)
            self._group.start_soon(self._adoption.work)
        if self._wiring.keep_s:
            from agentflow_kernel.kernel.pruning import Retention  # only kernels that delete pay

            self._retention = Retention(self, self._wiring.keep_s)
            if self._adoption is not None:
                self._retention.begin(self._group)

    def _choose_journal(self) -> tuple[Journal, bool]:
        """The journal and whether it outlives the process: the manifest's, else the one asked for, else in memory."""
        wiring, journal = self._wiring, self._wiring.journal
        named = wiring.composition.journal() if wiring.manifest is not None else None
        if named is not None:
            return named, True
        if isinstance(journal, str):
            context = wiring.environment.context("journal", ".")
            return cast("Journal", wiring.plugins.make("journal", journal, {}, context)), True
        if journal is not None:
            return journal, not isinstance(journal, InProcessJournal)
        self._unasked = True
        return InProcessJournal(), False

    async def close(self) -> None:
        """Suspend what still runs, then close the bus, the journal and every object of the manifest."""
        try:
            with anyio.CancelScope(shield=True):
                if self._adoption is not None:
                    await self._adoption.stop()
                async with anyio.create_task_group() as group:
                    for handle in list(self._handles.values()):
                        if self._adoption is not None:
                            handle.cause = self._adoption.cause
                        group.start_soon(handle.suspend)
                if self._wiring.bus is not None:
                    await self._wiring.bus.aclose()
                    self._wiring.bus = None
            self._group.cancel_scope.cancel()
            await self._group.__aexit__(None, None, None)
            for working in self._abandoned:  # whose tasks an interrupt has ended: they never begin
                working.close()
        finally:
            with anyio.CancelScope(shield=True):
                await self._close_objects()
        if self._interrupt is not None:
            raise self._interrupt

    async def _close_objects(self) -> None:
        """Close each object and give up ownership, whatever goes wrong on the way; raises the first error."""
        objects: list[object] = [self.journal] if self._durable else []
        if self._wiring.manifest is not None:
            objects = [*self._wiring.release(), *objects]
        failures: list[Exception] = []
        if self._owner and self._leases is not None:
            try:
                await self._leases.release()
            except Exception as error:  # noqa: BLE001 -- as below
                failures.append(error)
        for thing in objects:
            close = getattr(thing, "aclose", None)
            try:
                if close is not None:
                    await close()
            except Exception as error:  # noqa: BLE001 -- raised below, once the others are closed
                failures.append(error)
        if failures:
            raise failures[0]

    async def publish(self, event: Event) -> None:
        """Return when the bus has accepted the event."""
        bus = self._wiring.bus
        if bus is None:
            raise UsageError("The kernel is closed: nobody would get the event.")
        await bus.publish(event)

    async def start(self, target: Flow | Agent | str, value: object, *, key: str | None = None) -> RunHandle:
        """Put ``run.started`` on record and begin."""
        name, flow = self._wiring.find(target)
        flow.bound(loopless=False)
        if key is None:
            return await self._start(uuid7(), name, flow, value)
        run_id = _keyed_id(name, key)
        async with self.claim(run_id):
            if run_id in self._handles:
                return self._handles[run_id]
            try:
                head = await self.journal.head(run_id)
            except UnknownRun:  # the usual case: the key is new
                try:
                    return await self._start(run_id, name, flow, value)
                except (AppendConflict, Fenced):  # another process was quicker, and a third may own it by now
                    head = await self.journal.head(run_id)
            return await self._take_up(head)

    @asynccontextmanager
    async def claim(self, run_id: str) -> AsyncIterator[None]:
        """Let only one caller at a time look whether a run is there and take it up."""
        lock = self._claims.setdefault(run_id, anyio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():
                self._claims.pop(run_id, None)

    async def start_copy(
        self, run_id: str, name: str, value: object, forked_from: Mapping[str, JSON], lines: Sequence[Line]
    ) -> RunHandle:
        """A new run that has taken over what ``lines`` say from another one."""
        name, flow = self._wiring.find(name)
        flow.bound(loopless=False)
        return await self._start(run_id, name, flow, value, forked_from, lines)

    async def _start(
        self,
        run_id: str,
        name: str,
        flow: Flow,
        value: object,
        forked_from: Mapping[str, JSON] | None = None,
        lines: Sequence[Line] = (),
    ) -> RunHandle:
        """A new run under this id."""
        value, text = to_json(value, "input")
        flow.check_input(value)
        history = self.history(run_id, epoch=1)
        run = self._run(history, name)
        payload: dict[str, JSON] = {
            "name": name,
            "input": value,
            "owner": await self._own(),
            "origin": self._wiring.origin,
            "fingerprint": self._wiring.manifest.fingerprint if self._wiring.manifest is not None else "",
        }
        if forked_from is not None:
            payload["forked_from"] = dict(forked_from)
        if run.observer is not None and (traceparent := run.observer.begin()):
            payload["traceparent"] = traceparent  # a resumed run finds the trace of its start by it
        if self._unasked:
            self._unasked = False
            warnings.warn(_NOT_DURABLE, NotDurableWarning, stacklevel=4)
        started: Line = ("run.started", "", payload, "", len(text))
        self._starting.add(run_id)
        try:
            await (history.commit_and_take([started, *lines]) if lines else history.commit([started]))
            return self._begin(run, flow, value)
        finally:
            self._starting.discard(run_id)

    async def resume(
        self,
        run_id: str,
        *,
        accept_environment: bool = False,
        verdict: Verdict = NONE,
        prepared: Prepared | None = None,
    ) -> RunHandle:
        """Take over a run that has stopped without an end; ``prepared`` is used if nobody has appended since."""
        async with self.claim(run_id):
            if run_id in self._handles:
                return self._handles[run_id]
            try:
                head = await self.journal.head(run_id)
                if head.status in TERMINAL:
                    raise UsageError(
                        f"Run {run_id} has ended ({head.status}); only one that has not ended can be resumed."
                    )
                return await self._take_up(head, verdict, prepared, pinned=not accept_environment)
            except CorruptRecord as error:
                from agentflow_kernel.kernel.recovery import quarantine  # only damaged journals pay

                await quarantine(self.journal, run_id, error, self.clock.now())
                raise

    async def _take_up(
        self, head: RunInfo, verdict: Verdict = NONE, prepared: Prepared | None = None, *, pinned: bool = False
    ) -> RunHandle:
        """A handle for a run on record: at work here from now on, or settled as it ended.

        With ``pinned`` the environment must be that of its start.
        """
        run_id = head.run_id
        if head.status in TERMINAL:
            return await self._settled(head, await self.journal.read(run_id))
        if head.status in OPEN_STATUSES and await self._alive((head.owner,)):
            raise RunBusy(run_id, head.owner.rpartition("-")[0])
        if prepared is None or (prepared[1].next_seq, prepared[1].epoch) != (head.next_seq, head.epoch + 1):
            prepared = await prepare(self, run_id)
        first, history = prepared
        started = await self.payload(first)
        if pinned:
            then = cast("Mapping[str, JSON]", started.get("origin") or {}).get("environment") or {}
            now = self._wiring.origin.get("environment") or {}
            check_pins(run_id, cast("Mapping[str, str]", then), cast("Mapping[str, str]", now))
        name, flow = self._wiring.find(str(started["name"]))
        flow.bound(loopless=False)
        lease: Line = ("lease", "", {"owner": await self._own(), **verdict.lease()}, "", 0)
        try:
            await history.commit_and_take([lease, *verdict.lines(history)])
        except (AppendConflict, Fenced) as error:
            owner = (await self.journal.head(run_id)).owner
            raise RunBusy(run_id, f"{owner.rpartition('-')[0]}, which has just taken it") from error
        run = self._run(history, name)
        if run.observer is not None:
            run.observer.begin(started.get("traceparent", ""), resumed=True)
        if self._inbox is not None:
            await take_in(self._inbox, run)
        return self._begin(run, flow, started["input"], resumed=True)

    async def _settled(self, head: RunInfo, records: Sequence[Record]) -> RunHandle:
        from agentflow_kernel.errors import RunCancelled, RunFailed

        handle = RunHandle(Run(head.run_id, head.name, services=self._wiring.services()), durable=self._durable)
        ended = await self.payload(records[-1])
        error = {
            "failed": RunFailed(head.run_id, head.code, head.cause, str(ended.get("path", ""))),
            "cancelled": RunCancelled(head.run_id),
        }.get(head.status)
        handle.settle(head.status, output=ended.get("output"), error=error)
        return handle

    async def payload(self, record: Record) -> Mapping[str, JSON]:
        """The whole payload of a record, wherever it is stored."""
        if record.ref:
            import json

            return cast("Mapping[str, JSON]", json.loads(await self.journal.get_blob(record.ref)))
        return cast("Mapping[str, JSON]", record.payload)

    def history(self, run_id: str, *, epoch: int) -> History:
        """A history of the run for an owner of this epoch, with nothing taken up yet."""
        return History(self.journal, run_id, clock=self._wiring.clock, epoch=epoch, limits=self._wiring.history_limits)

    def _run(self, history: History, name: str) -> Run:
        wiring = self._wiring
        return Run(history.run_id, name, services=wiring.services(), history=history, listener=wiring.listener())

    def _begin(self, run: Run, flow: Flow, value: object, *, resumed: bool = False) -> RunHandle:
        handle = RunHandle(run, durable=self._durable)
        execution = Execution(run, flow.bound(loopless=False), value, handle)

        async def work() -> None:
            if working in self._abandoned:  # it was settled before this task had its first turn
                self._abandoned.remove(working)
                return
            try:
                await execution.work()
            except KeyboardInterrupt as error:  # of a task it would break asyncio's loop, and be one of a group on trio
                self._interrupt = error
                self._group.cancel_scope.cancel()
            finally:
                if handle.unbegun is None:
                    del self._handles[run.run_id]

        working = work()

        async def stop_unbegun() -> None:
            self._abandoned.append(working)
            del self._handles[run.run_id]
            await execution.stop_unbegun()

        handle.unbegun = stop_unbegun
        self._handles[run.run_id] = handle
        if resumed and run.standing.cancel_asked:
            handle.stop_soon("cancel")  # by an earlier owner that did not get that far, or in the inbox
        self._group.start_soon(lambda: working, name="run")
        self._watch_inbox()
        if self._retention is not None:
            self._retention.begin(self._group)
        return handle

    def _watch_inbox(self) -> None:
        """Have somebody look what other processes ask of the runs here."""
        if self._inbox is None:
            return
        if self._watch is None:
            shared = self.journal if hasattr(self.journal, "leases") else None
            self._watch = InboxWatch(self._inbox, self._wiring.clock, self._handles, shared)
        if self._watch.begins():
            self._group.start_soon(self._watch.work)

    async def idle(self, *, resting: bool = False) -> None:
        """Return when the bus is empty and no run is at work, or each of them has stopped or rests."""
        bus = self._wiring.bus
        while self._at_work(resting) or (bus is not None and bus.holds_events):
            if bus is not None:
                await bus.drain()
            for handle in self._at_work(resting):
                await (handle.rested() if resting else handle.ended())

    def _at_work(self, resting: bool) -> list[RunHandle]:  # noqa: FBT001 -- passed on
        return [handle for handle in self._handles.values() if not (resting and at_rest(handle))]

    async def finish(self, handle: RunHandle) -> object:
        """The output of a run; a caller that is cancelled suspends the run first."""
        try:
            return await handle.result()
        except anyio.get_cancelled_exc_class():
            await handle.suspend()
            raise

    async def _own(self) -> str:
        """The name under which this process owns runs; empty where nobody else could see them."""
        if self._leases is None:
            return ""
        async with self._owning:
            if not self._owner:
                self._owner = await self._leases.acquire()
        return self._owner

    async def _alive(self, owners: Collection[str]) -> Collection[str]:
        """Those of the owners that are other processes at work; for our own runs, the handles say that."""
        others = {owner for owner in owners if owner and owner != self._owner}
        return await self._leases.alive(others) if others and self._leases is not None else ()

    async def leave(self, run_id: str, request: Request) -> None:
        """Keep a request for whoever owns the run, or will."""
        if self._inbox is None:
            raise UsageError("This kernel has no state folder, and its journal no inbox: requests have no place.")
        await self._inbox.leave(run_id, request)

    async def infos(self, *, status: str | None, limit: int) -> Sequence[RunInfo]:
        """Heads with the status that is true now: nobody works on a run whose owner is gone."""
        stored = ("suspended", *OPEN_STATUSES) if status == "suspended" else (status,)
        found = [info for one in stored for info in await self._true_infos(one, status, limit)]
        found.sort(key=lambda info: (info.started_at, info.run_id), reverse=True)
        return found[:limit]

    async def _true_infos(self, stored: str | None, wanted: str | None, limit: int) -> list[RunInfo]:
        """At least ``limit`` heads, if there are so many, that are on record as ``stored`` and truly ``wanted``."""
        asked = limit
        while True:
            found = []
            infos = await self.journal.runs(status=stored, limit=asked)
            ours = self._starting.copy()
            alive = await self._alive({info.owner for info in infos if info.status in OPEN_STATUSES})
            for info in infos:
                nobodys = info.status in OPEN_STATUSES and info.run_id not in self._handles
                if nobodys and info.owner not in alive and info.run_id not in ours:
                    info.status, info.cause = "suspended", "crash"
                if wanted is None or info.status == wanted:
                    found.append(info)
            if len(found) >= limit or len(infos) < asked:
                return found
            asked *= 4

    async def records(self, run_id: str) -> Sequence[Record]:
        """All records of a run."""
        records = await self.journal.read(run_id)
        if not records:
            raise UnknownRun(run_id)
        return records

    async def origin(self, run_id: str) -> dict[str, JSON]:
        """Where the run came from."""
        records = await self.records(run_id)
        started = await self.payload(records[0])
        return dict(cast("Mapping[str, JSON]", started.get("origin") or {}))


async def prepare(runs: Runs, run_id: str) -> Prepared:
    """The first record of a run and its history, taken up for whoever owns it next."""
    records = await runs.records(run_id)
    history = runs.history(run_id, epoch=records[-1].epoch + 1)
    await history.load(records)
    return records[0], history


def _keyed_id(name: str, key: str) -> str:
    """The run id that belongs to a key: a UUID of version 8 made from SHA-256 (RFC 9562, section 5.8)."""
    from hashlib import sha256

    try:
        digest = sha256(f"{name}\n{key}".encode()).hexdigest()
    except UnicodeEncodeError as error:
        raise UsageError(f"{key!r} is no key of a run: it has a lone surrogate.") from error
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
