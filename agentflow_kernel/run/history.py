"""A run's history: what it has appended to the journal, and what a resumed run finds there."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.journal import INLINE_LIMIT_BYTES, Record, chain_hash, encode_record, shield_of
from agentflow_kernel.errors import CorruptRecord, NonDeterminism, OutcomeUnknown, RunEnded
from agentflow_kernel.run.figures import add_figures
from agentflow_kernel.run.history_limits import LIMITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence
    from typing import Any, Literal

    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.journal import Journal, RecordType
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.figures import Figures
    from agentflow_kernel.run.history_limits import Limits
    from agentflow_kernel.run.standing import Standing

    OnUnknown = Literal["stuck", "retry", "fail"]
    """What to do with an effect that was begun and left no word of how it ended."""

    Line = tuple[RecordType, str, JSON, str, int]
    """A record to be: type, path, payload, input hash, and about how many characters the payload has as text."""

_LARGE = ("input", "output", "ask", "state")
"""Members of the payloads of ``run.*`` and ``wait.*`` records that may be of any size."""

_SURELY_SMALL = INLINE_LIMIT_BYTES // 4
"""Characters that take no more bytes than a record may have: four each."""

_LAST = ("run.ended", "run.suspended")
"""Types of the last record of an owner."""


ACCEPTED = "*"
"""The input hash of a step that stands for whatever input it is given: a person has decided so."""


class History:
    """The writer of one run's records, and the memory of those that an earlier owner wrote."""

    __slots__ = (
        "journal", "run_id", "epoch", "clock", "limits", "next_seq", "prev_hash", "done", "decisions", "intents",
        "given_up", "unpublished", "marks", "steps", "broken", "standing", "queued", "closed", "position", "figures",
        "records", "size_bytes", "due", "warned", "began", "attempts", "_below", "_shielded",
    )  # fmt: skip

    def __init__(
        self, journal: Journal, run_id: str, *, clock: Clock, epoch: int = 1, limits: Limits | None = None
    ) -> None:
        self.journal = journal
        self._shielded = shield_of(journal)
        self.run_id = run_id
        self.epoch = epoch
        self.clock = clock
        self.limits = limits or LIMITS
        self.next_seq = 0
        self.prev_hash = ""
        self.done: dict[str, Record] = {}
        """Completed steps by path."""
        self.decisions: dict[str, Mapping[str, JSON]] = {}
        """The last decision of each planner by the path of its action."""
        self.intents: dict[str, JSON] = {}
        """Effects that were begun, and what would undo each; those not in ``done`` may or may not have happened."""
        self.given_up: set[str] = set()
        """Those of which a person has decided that they count as failed."""
        self.unpublished: dict[str, Mapping[str, JSON]] = {}
        """Emitted events, by id, whose publication is not on record."""
        self.marks: list[str] = []
        """Ids of published events that the next commit puts on record."""
        self.steps = 0
        """Steps this owner has completed."""
        self.broken: Exception | None = None
        """The error of the first append that failed: nothing can be appended after it, and no step may go on."""
        self.standing: Standing | None = None
        """Timers, waits, signals and patches of earlier owners, where there are any."""
        self.queued: list[Line] = []
        """Lines that go on record with the next batch."""
        self.closed = ""
        """The status with which this owner has left the run; nothing is appended after that."""
        self.position: Mapping[str, JSON] | None = None
        """Where the walk goes on, if a snapshot says so: ``node``, ``value``, ``roots`` and ``visits``."""
        self.figures: Figures = {}
        """What the steps on record came to, see :func:`add_figures`."""
        self.records = 0
        """Records since the last snapshot; ``size_bytes`` is about what they and their payloads take."""
        self.size_bytes = 0
        self.due = False
        """Whether it is time for a snapshot."""
        self.warned = False
        """Whether the log has been told that it is long past."""
        self.began: dict[str, float] = {}
        """When the steps at work began, by path; monotonic seconds."""
        self.attempts: dict[str, int] = {}
        """Attempts of the steps at work that needed more than one."""
        self._below: dict[str, list[str]] = {}
        """Paths on record below each visit that is not complete."""

    async def load(self, records: Sequence[Record]) -> None:
        """Take up the records of earlier owners; large payloads are fetched. Raises :class:`CorruptRecord`.

        What a snapshot holds is not taken up again from the records before it; only their chain is checked, where
        they were not deleted.
        """
        import json  # lazy: 10 ms, only runs with a journal pay

        last = max((at for at, record in enumerate(records) if is_snapshot(record)), default=-1)
        for at, record in enumerate(records):
            encode_record(record)  # as it is stored: it keeps the bytes
            if record.ref and at >= last:
                record.payload = json.loads(await self.journal.get_blob(record.ref))
            if at == 1 and record.seq > 1 and is_snapshot(record):  # what lay between was deleted
                self.next_seq, self.prev_hash = record.seq, record.prev_hash
            if at == last:
                self.records, self.size_bytes, self.due = 0, 0, False
            self._chain(record)
            if at >= last:
                self._take(record)

    def _chain(self, record: Record) -> None:
        """Check that the record follows the one before it."""
        if record.seq != self.next_seq or record.prev_hash != self.prev_hash:
            raise CorruptRecord(self.run_id, record.seq, "the chain of records is broken")
        self.next_seq = record.seq + 1
        self._take_in(record)

    def _take(self, record: Record) -> None:
        payload = cast("Mapping[str, JSON]", record.payload)
        if record.type == "step.completed":
            self.done[record.path] = record
            add_figures(self.figures, payload)
            self._forget_below(record.path, payload)
        elif record.type == "decision":
            self.decisions[record.path] = payload
        elif record.type == "step.intent":
            self.intents[record.path] = payload.get("undo")
        elif record.type == "step.failed":
            if payload.get("decided") == "fail":
                self.given_up.add(record.path)
            else:
                self.intents.pop(record.path, None)
        elif record.type == "event.emitted":
            self.unpublished[f"{self.run_id}/{record.seq}"] = payload
        elif record.type == "event.published":
            for event_id in cast("list[str]", payload["ids"]):
                self.unpublished.pop(event_id, None)
        elif record.type == "lease":
            if payload.get("accepted"):
                self.accept()
        elif is_snapshot(record):
            from agentflow_kernel.run.snapshot import restore  # only long or forked runs pay

            restore(self, payload)
        elif not record.type.startswith("run."):
            self._take_standing(record)

    def _take_standing(self, record: Record) -> None:
        from agentflow_kernel.run.standing import KEPT, Standing  # only runs that have used it pay

        if record.type in KEPT:
            if self.standing is None:
                self.standing = Standing()
            self.standing.take(record)

    def _forget_below(self, path: str, payload: Mapping[str, JSON]) -> None:
        """What a visit did on its way is never asked for again once its result is on record."""
        visit = visit_of(path)
        if visit != path:
            self._below.setdefault(visit, []).append(path)
        elif "result" in payload:
            for each in self._below.pop(path, ()):
                if each in self.done and "undo" not in cast("Mapping[str, JSON]", self.done[each].payload):
                    del self.done[each]
            self.decisions.pop(path, None)

    def find_below(self) -> None:
        """Bring what is known of unfinished visits up to date with ``done``."""
        self._below = {}
        for path in self.done:
            if (visit := visit_of(path)) != path:
                self._below.setdefault(visit, []).append(path)

    async def commit_and_take(self, lines: Sequence[Line]) -> None:
        """Put lines on record that tell of what is not this owner's own work, and take them up as if they were read."""
        first = await self.commit(lines)
        for seq, (kind, path, payload, input_hash, _) in enumerate(lines, first):
            self._take(Record(self.run_id, seq, kind, path, payload, self.epoch, input_hash=input_hash))

    def accept(self) -> None:
        """Let every completed step stand, whatever input the code gives it now: a person has decided so."""
        for record in self.done.values():
            record.input_hash = ACCEPTED

    def recall(self, path: str, input_hash: str) -> Record | None:
        """The completed step at ``path``, if there is one.

        Raises :class:`NonDeterminism` when it was done for another input than the code now gives it.
        """
        record = self.done.get(path)
        if record is None:
            self.began[path] = self.clock.monotonic()
            return None
        if record.input_hash not in (input_hash, ACCEPTED):
            raise NonDeterminism(
                self.run_id,
                path,
                "this step is on record with another input. Put the code back, accept what is on record "
                "(resume --accept), or do it again in a new run (retry --from).",
            )
        return record

    async def begin_effect(
        self, path: str, kind: str, name: str, *, on_unknown: OnUnknown = "stuck", undo: tuple[JSON, int] = (None, 0)
    ) -> None:
        """Put on record that something is about to happen that must not happen twice.

        ``kind`` is ``node``, ``tool`` or ``step``. Where an earlier owner began it and left no word of how it ended,
        ``on_unknown`` decides; see :func:`refuse_unknown`. ``undo`` is what would compensate it, with its size: for a
        person who decides that it is done.
        """
        if path in self.intents:
            refuse_unknown(self.run_id, path, f"{kind} {name!r}", "fail" if path in self.given_up else on_unknown)
            return
        told, size = undo
        payload: dict[str, JSON] = {kind: name} if told is None else {kind: name, "undo": told}
        await self.commit([("step.intent", path, payload, "", size)])

    def commit(self, lines: Sequence[Line]) -> Coroutine[Any, Any, int]:
        """Append one batch and return the sequence number of the first of ``lines``; durable when this returns.

        Batches of one run are numbered in the order of the calls. Cancellation waits until the batch is decided.
        """
        if self.broken is not None:
            raise self.broken
        large = False
        for kind, path, payload, _, size in lines:
            if kind == "step.completed" and (began := self.began.pop(path, None)) is not None:
                payload["took_s"] = round(self.clock.monotonic() - began, 6)  # type: ignore[index]  # an object
            large = large or size > _SURELY_SMALL
        return self._commit_large(lines) if large else self.append(lines)

    async def _commit_large(self, lines: Sequence[Line]) -> int:
        return await self.append(lines, [await self.store_large(line) for line in lines])

    async def append(self, lines: Sequence[Line], refs: Sequence[str] = ()) -> int:
        """As :meth:`commit`, for lines whose large payloads are stored already: their references, if there are any.

        They are numbered before anything else can happen.
        """
        start = self.next_seq
        records = self._number(lines, refs)
        try:
            if self._shielded is not None:
                await self._shielded.append_shielded(self.run_id, start, self.epoch, records)
            else:
                await self._append_in_shield(start, records)
        except Exception as error:  # noqa: BLE001 -- whatever it is, nothing can be appended after it
            if self.broken is None:
                self.broken = error
            raise self.broken from None if self.broken is error else error
        return start + len(records) - len(lines)

    async def _append_in_shield(self, start: int, records: Sequence[Record]) -> None:
        import anyio  # lazy: 25 ms, and loaded already wherever there is a loop

        with anyio.CancelScope(shield=True):
            await self.journal.append(self.run_id, start, self.epoch, records)

    def _number(self, lines: Sequence[Line], refs: Sequence[str]) -> list[Record]:
        """The records of a batch: marks and lines that wait for one first."""
        if self.closed:
            raise RunEnded(self.run_id, self.closed)
        if lines:
            kind, _, payload, _, _ = lines[0]
            if self.due:
                self.limits.check(self, kind)
            if kind in _LAST:
                self.closed = str(cast("Mapping[str, JSON]", payload)["status"])
        records = []
        if self.marks:
            records.append(self._record(("event.published", "", {"ids": self.marks}, "", 0)))
            self.marks = []
        if self.queued:
            queued, self.queued = self.queued, []
            records.extend(self._record(line) for line in queued)
        for at, line in enumerate(lines):
            records.append(self._record(line, refs[at] if refs else ""))
        return records

    async def store_large(self, line: Line) -> str:
        """The reference of a payload that is too large for a record, ``""`` for any other."""
        if line[4] <= _SURELY_SMALL:
            return ""
        import json  # lazy: 10 ms, only runs with a journal pay

        data = json.dumps(line[2], separators=(",", ":"), ensure_ascii=False).encode()
        self.size_bytes += len(data)
        return await self.journal.put_blob(data) if len(data) > INLINE_LIMIT_BYTES else ""

    def _record(self, line: Line, ref: str = "") -> Record:
        """Number and chain one record."""
        kind, path, payload, input_hash, _ = line
        attempt = 1
        if kind == "step.completed":
            self.steps += 1
            attempt = self.attempts.pop(path, 1) if self.attempts else 1
        record = Record(
            self.run_id,
            self.next_seq,
            kind,
            path,
            _head_of(kind, payload) if ref else payload,
            self.epoch,
            attempt,
            self.clock.now(),
            ref,
            input_hash,
            self.prev_hash,
        )
        self.next_seq += 1
        self._take_in(record)
        return record

    def _take_in(self, record: Record) -> None:
        """Go on behind the record, and measure it."""
        data = encode_record(record)
        self.prev_hash = record.hashed = chain_hash(data)  # kept: the journal needs it, too
        self.records += 1
        self.size_bytes += len(data)
        if self.records >= self.limits.snapshot_records or self.size_bytes >= self.limits.snapshot_bytes:
            self.due = True


def visit_of(path: str) -> str:
    """The visit of a node of the run's own flow that a path lies in: ``assess@2`` for ``assess@2[3]/model-1``."""
    for at, char in enumerate(path):
        if char in "/![":
            return path[:at]
    return path


def is_snapshot(record: Record) -> bool:
    """Whether the record holds the history before it."""
    return record.type == "snapshot"


def refuse_unknown(run_id: str, path: str, what: str, on_unknown: OnUnknown) -> None:
    """Decide on an effect that was begun and may have happened: with ``retry`` return, so that it is begun again.

    Raises :class:`NonDeterminism` with ``stuck``, :class:`OutcomeUnknown` with ``fail``.
    """
    if on_unknown == "fail":
        raise OutcomeUnknown(run_id, path, what)
    if on_unknown == "stuck":
        raise NonDeterminism(
            run_id,
            path,
            f"{what} was begun before the run stopped and may have taken effect. "
            "It is not declared idempotent, so it is not repeated.",
        )


def _head_of(kind: str, payload: JSON) -> JSON:
    """What stays in a record whose payload is stored elsewhere: all that the head of a run is made from."""
    if not kind.startswith(("run.", "wait.")):
        return None
    return {key: value for key, value in cast("dict[str, JSON]", payload).items() if key not in _LARGE}
