"""A journal: the durable history of runs, one append-only list of records per run."""

from __future__ import annotations

import json
import zlib
from hashlib import sha256
from operator import attrgetter
from typing import Literal, Protocol, cast

from agentflow_kernel.contracts.values import Value
from agentflow_kernel.errors import CorruptRecord, NewerSchema, ProtocolViolation
from agentflow_kernel.json_text import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Sequence

    from agentflow_kernel.contracts.values import JSON

RECORD_VERSION = 1
INLINE_LIMIT_BYTES = 256 * 1024
"""Payloads above this size are stored by reference (``put_blob``)."""

RecordType = Literal[
    "run.started", "step.intent", "step.completed", "step.failed", "decision", "timer.set", "timer.fired",
    "signal.received", "signal.consumed", "wait.opened", "wait.resolved", "patch",
    "event.emitted", "event.published", "cancel.requested", "compensation.started", "compensation.completed",
    "snapshot", "lease", "run.suspended", "run.ended",
]  # fmt: skip
RunStatus = Literal[
    "queued", "running", "waiting", "suspended", "stuck", "quarantined", "completed", "failed", "cancelled"
]
TERMINAL: frozenset[str] = frozenset(("completed", "failed", "cancelled"))
AT_WORK: frozenset[str] = frozenset(("queued", "running", "waiting"))
"""Somebody may be about to append to such a run."""
CAPABILITIES = {
    "durable": "what was acknowledged outlives the process",
    "inline": "appends on the calling thread, for runs without an event loop",
    "shared": "several processes use one store at the same time",
    "shared-runs": "workers on several machines own its runs, by leases and an inbox of its own",
    "prunes": "runs that have ended can be deleted, and payloads that no record names",
    "compacts": "what a run has on record before its last snapshot can be deleted, also while the run goes on",
    "tally": "one cheap query counts the runs that have not ended, by their owner or the cause of their stop",
}
"""What a journal may offer, beyond the contract that all keep."""


class Record(Value):
    """One line of a run's history.

    ``seq`` is contiguous from 0, but for what :class:`Compacts` has deleted. ``path`` is the identity of the action it
    belongs to (``""`` for the run itself). ``payload`` is JSON. With ``ref`` the whole payload is the blob of that
    SHA-256, and ``payload`` holds only what the head of the run needs of it, or ``None``. ``ts`` is wall time.
    ``input_hash`` lets a resumed run notice that the code now asks for something else. ``prev_hash`` chains them.
    """

    __slots__ = (
        "run_id", "seq", "type", "path", "payload", "epoch", "attempt", "ts", "ref", "input_hash", "prev_hash",
        "tenant", "encoded", "hashed",
    )  # fmt: skip

    def __init__(
        self,
        run_id: str,
        seq: int,
        type: RecordType,
        path: str,
        payload: JSON,
        epoch: int,
        attempt: int = 1,
        ts: float = 0.0,
        ref: str = "",
        input_hash: str = "",
        prev_hash: str = "",
        tenant: str = "default",
    ) -> None:
        self.run_id = run_id
        self.seq = seq
        self.type = type
        self.path = path
        self.payload = payload
        self.epoch = epoch
        self.attempt = attempt
        self.ts = ts
        self.ref = ref
        self.input_hash = input_hash
        self.prev_hash = prev_hash
        self.tenant = tenant
        self.encoded: bytes | None = None
        """The bytes of :func:`encode_record`, kept: writer and journal both need them."""
        self.hashed = ""
        """The :func:`chain_hash` of those bytes, kept where it is known."""


FIELDS = Record.__slots__[:-2]
"""The fields of a record in the order in which they are encoded."""
Record.content = FIELDS  # what is kept beside them is no part of the content
_fields_of = attrgetter(*FIELDS)


def encode_record(record: Record) -> bytes:
    """The record as bytes: CRC-32 in 8 hex digits, a blank, then compact JSON.

    The caller makes sure that the payload is JSON; a value that is not raises ``TypeError`` or ``ValueError``.
    """
    data = record.encoded
    if data is None:
        body = write((RECORD_VERSION, *_fields_of(record))).encode()
        data = record.encoded = b"%08x " % zlib.crc32(body) + body
    return data


def decode_record(data: bytes, *, run_id: str = "", seq: int = -1) -> Record:
    """The record behind ``data``; ``run_id`` and ``seq`` say where it was found, for the error.

    Raises :class:`CorruptRecord` when the check sum or the place differs, :class:`NewerSchema` for a newer version.
    """
    body = data[9:]
    if len(data) < 10 or data[:9] != b"%08x " % zlib.crc32(body):
        raise CorruptRecord(run_id, seq, "the check sum does not match")
    fields = json.loads(body)
    if fields[0] > RECORD_VERSION:
        raise NewerSchema("A journal record", fields[0], RECORD_VERSION)
    record = Record(*fields[1:])
    if (run_id and record.run_id != run_id) or (seq >= 0 and record.seq != seq):
        raise CorruptRecord(run_id, seq, f"it holds record {record.seq} of run {record.run_id}")
    return record


def chain_hash(data: bytes) -> str:
    """The hash that the next record carries as ``prev_hash``: SHA-256 of the encoded record, 16 hex digits."""
    return sha256(data).hexdigest()[:16]


def follow_chain(tail: str, records: Sequence[Record]) -> str:
    """The hash of the last one of ``records``, which follow the record with the hash ``tail`` (``""``: unknown).

    Raises :class:`ProtocolViolation` when one names another before it; records and tails without a name fit all.
    """
    for record in records:
        if record.prev_hash != tail and record.prev_hash and tail:
            raise ProtocolViolation(
                f"Run {record.run_id}: record {record.seq} names {record.prev_hash!r} as the hash of the one before "
                f"it, which is {tail!r}. Nothing was appended.",
                executed="no",
            )
        tail = record.hashed or chain_hash(encode_record(record))
    return tail


class RunInfo(Value):
    """The head of a run: what a list of runs shows. Times are wall time; ``next_seq`` is where the next append goes."""

    __slots__ = (
        "run_id", "name", "status", "epoch", "next_seq", "owner", "started_at", "updated_at", "code", "cause", "parent",
    )  # fmt: skip

    def __init__(
        self,
        run_id: str,
        name: str = "",
        status: RunStatus = "queued",
        epoch: int = 0,
        next_seq: int = 0,
        owner: str = "",
        started_at: float = 0.0,
        updated_at: float = 0.0,
        code: str = "",
        cause: str = "",
        parent: str = "",
    ) -> None:
        self.run_id = run_id
        self.name = name
        self.status = status
        self.epoch = epoch
        self.next_seq = next_seq
        self.owner = owner
        self.started_at = started_at
        self.updated_at = updated_at
        self.code = code
        self.cause = cause
        self.parent = parent
        """The run that this one is a retry or a fork of."""


_info_of = attrgetter(*RunInfo.__slots__)


def copy_info(info: RunInfo) -> RunInfo:
    """Another head with the same content."""
    return RunInfo(*_info_of(info))


def check_batch(run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
    """Raise ``ValueError`` unless ``records`` are one batch of this place, and the epoch one that can be stored."""
    for seq, record in enumerate(records, expected_seq):
        if record.seq != seq or record.epoch != epoch or record.run_id != run_id:
            raise ValueError(
                f"Record {record.seq} of run {record.run_id}, epoch {record.epoch}, stands where record {seq} of run "
                f"{run_id}, epoch {epoch}, was expected: a batch is of one run and one epoch, without a gap."
            )
    if not 0 <= epoch < 1 << 63:
        raise ValueError(f"Run {run_id}: an epoch lies between 0 and 2**63, found {epoch}.")


def check_snapshot(run_id: str, seq: int, found: Sequence[Record]) -> None:
    """Raise ``ValueError`` unless ``found``, the records of a run from ``seq`` on, begin with a snapshot there."""
    if seq < 1 or not found or found[0].seq != seq or found[0].type != "snapshot":
        kind = found[0].type if found and found[0].seq == seq else "not there"
        raise ValueError(f"Record {seq} of run {run_id} is {kind}; expected a snapshot.")


def fold(info: RunInfo, record: Record) -> None:
    """Bring the head up to date with one appended record; the same for every journal."""
    info.next_seq = record.seq + 1
    info.epoch = record.epoch
    info.updated_at = record.ts
    if not record.type.startswith(("run.", "lease")):
        if info.status == "waiting" or (info.status == "running" and record.type in _BEGIN_WAIT):
            _fold_wait(info, record)
        return
    payload = cast("dict[str, str]", record.payload or {})
    if record.type == "run.started":
        info.name = payload.get("name", "")
        info.started_at = record.ts
        info.status = "running"
        info.owner = payload.get("owner", "")
        info.parent = str(cast("dict[str, JSON]", payload.get("forked_from") or {}).get("run", ""))
    elif record.type == "lease":
        info.status = "running"
        info.owner = payload.get("owner", "")
        info.code = info.cause = ""
    elif record.type == "run.suspended":
        info.status = cast("RunStatus", payload.get("status", "suspended"))
        info.code = payload.get("code", "")
        info.cause = payload.get("cause", "asked")
    elif record.type == "run.ended":
        info.status = cast("RunStatus", payload["status"])
        info.code = payload.get("code", "")
        info.cause = payload.get("error", "")


_BEGIN_WAIT = ("timer.set", "wait.opened")
_GOES_ON_WAITING = frozenset(("signal.received", "signal.consumed", "event.published", "patch", "cancel.requested"))
"""Records that say nothing of the run's own work."""


def _fold_wait(info: RunInfo, record: Record) -> None:
    """A run waits from a record that says so in its payload on (``waiting``) until its next record of work."""
    payload = cast("dict[str, JSON]", record.payload or {})
    if record.type in _BEGIN_WAIT and "waiting" in payload:
        info.status = "waiting"
    elif record.type not in _GOES_ON_WAITING:
        info.status = "running"


class Journal(Protocol):
    """A store of run histories; used concurrently by many runs of one process, read by other processes meanwhile."""

    async def append(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        """Append all of ``records`` or none; they are durable when this returns. Appends of several runs are grouped.

        ``records`` is one batch of one run: ``seq`` from ``expected_seq`` on without a gap, all of ``epoch``; anything
        else is a ``ValueError`` (:func:`check_batch`). An empty batch only looks whether the place is right.
        Raises :class:`Fenced` when the run's epoch is higher, :class:`AppendConflict` when the next sequence number
        is another, :class:`StorageUnavailable` when the store cannot write (nothing of the batch is kept).
        A cancelled append may or may not have happened: read the head.
        """
        ...

    async def read(self, run_id: str, from_seq: int = 0) -> Sequence[Record]:
        """The records from ``from_seq`` on, in order; empty for an unknown run. Raises :class:`CorruptRecord`.

        None is missing, but for those that :class:`Compacts` has deleted.
        """
        ...

    async def head(self, run_id: str) -> RunInfo:
        """The head of a run; raises :class:`UnknownRun`."""
        ...

    async def runs(self, *, status: str | None = None, limit: int = 100) -> Sequence[RunInfo]:
        """Heads, newest start first, at most ``limit``, of one status where given."""
        ...

    async def put_blob(self, data: bytes) -> str:
        """Store bytes durably under their SHA-256 (hex) and return it; storing the same bytes twice is one blob."""
        ...

    async def get_blob(self, ref: str) -> bytes:
        """The bytes behind a reference; raises :class:`CorruptRecord` when they are missing or damaged."""
        ...

    async def aclose(self) -> None:
        """Finish what was accepted and release the store; may be called twice.

        Later calls raise :class:`StorageUnavailable`.
        """
        ...


class AppendsInline(Protocol):
    """Optional ability ``inline``: append on the calling thread, for runs without an event loop."""

    def append_inline(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        """As :meth:`Journal.append`, blocking."""
        ...


class AppendsShielded(Protocol):
    """Optional: an append that needs no shield round it, which costs a step less than one; see :func:`shield_of`."""

    def append_shielded(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> Awaitable[None]:
        """As :meth:`Journal.append`, in the order of the calls; a cancelled scope waits until the batch is decided.

        ``Task.cancel`` of asyncio comes through at once, as it does through a shield.
        """
        ...


def shield_of(journal: Journal) -> AppendsShielded | None:
    """The journal itself where it appends shielded, by the class that says how it appends.

    Whoever wraps or derives from such a journal, to see or to refuse its appends, sees them all the same.
    """
    for kind in type(journal).__mro__:
        if "append_shielded" in kind.__dict__:
            return cast("AppendsShielded", journal)
        if "append" in kind.__dict__:
            return None
    return None


class Talliable(Protocol):
    """Optional ability ``tally``: one cheap query tells a worker whether there may be a run to take over."""

    async def tally(self) -> Collection[tuple[str, str, int]]:
        """Owner, cause and number of the runs that have not ended, each pair once.

        Suspended runs count under no owner (``""``) and their cause, ``unknown`` where they have none; those that are
        at work, as far as the journal knows, under their owner and no cause. Runs that are stuck or quarantined are
        left out. A damaged run may be counted or not.
        """
        ...


GRACE_S = 3600.0
"""How long a payload stays that no record names: the record may be about to be appended."""


class Prunes(Protocol):
    """Optional ability ``prunes``: delete runs that have ended, whole, and payloads that no record names any more."""

    async def prune(self, before: float, statuses: Collection[str] = TERMINAL, *, limit: int = 100) -> Sequence[str]:
        """Delete at most ``limit`` runs with their records, in one transaction, and return their ids.

        Only runs that have ended, with one of ``statuses``, whose last record is older than ``before`` (wall time).
        Damaged runs stay. Fewer than ``limit`` may go, so that no append waits long; call it until nothing is
        returned. A later append begins such a run anew. Raises :class:`StorageUnavailable`; then nothing was deleted.
        """
        ...

    async def collect(self, *, grace_s: float = GRACE_S) -> int:
        """Delete payloads that no record names, and return how many; those of a run at work must never go.

        So only those go that were last put more than ``grace_s`` seconds before now, and as long before the oldest
        run began that is on record as queued, running or waiting. A payload that is put again counts from then on;
        a journal may note that up to ten minutes late, so a shorter grace is for stores that nobody writes to.
        Works in steps; cancelled, or after :class:`StorageUnavailable`, some may be deleted.
        """
        ...


class Compacts(Protocol):
    """Optional ability ``compacts``: shorten the history of a run, whether it is at work, waits or has ended."""

    async def compact(self, run_id: str, seq: int, epoch: int) -> int:
        """Delete the records of a run between its first and ``seq``, which is a snapshot; return how many went.

        Readers find all of them or none: from one moment on, which is durable, the first record is followed by the
        snapshot. The head stays as it is, and so do payloads that are stored apart (:meth:`Prunes.collect`). Where that
        snapshot or a later one stands there already, only what a crash has left of the work is deleted.
        Raises :class:`Fenced` when the run's epoch is higher, :class:`UnknownRun`, ``ValueError`` when the record
        ``seq`` is no snapshot, :class:`CorruptRecord`, :class:`StorageUnavailable`.
        """
        ...


def compacted_to(records: Sequence[Record]) -> int:
    """The ``seq`` of the snapshot that follows the first record of a run, 0 where nothing was deleted.

    ``records`` are those of the run from the first on. Those from 1 up to this number are gone.
    """
    seq = records[1].seq if len(records) > 1 else 0
    return seq if seq > 1 else 0


class Request(Value):
    """What somebody asks of a run: ``kind`` is ``signal``, ``cancel``, ``approval`` or ``answer``.

    ``place`` is where its inbox keeps it.
    """

    __slots__ = ("kind", "id", "name", "value", "place")

    def __init__(self, kind: str, id: str, name: str = "", value: JSON = None, place: str = "") -> None:
        self.kind = kind
        self.id = id
        self.name = name
        self.value = value
        self.place = place


class Leases(Protocol):
    """Which owners of runs still work. One object is one owner, from :meth:`acquire` to :meth:`release`."""

    async def acquire(self) -> str:
        """Begin to own runs, and return the name that they carry as their owner: ``<process>-<random>``.

        The owner stays alive until :meth:`release` or the end of the process; whoever implements this sees to it,
        also while the event loop is held up. Raises :class:`StorageUnavailable`.
        """
        ...

    async def release(self) -> None:
        """Own nothing any more; may be called twice, and without :meth:`acquire`."""
        ...

    async def alive(self, owners: Collection[str]) -> Collection[str]:
        """Those of ``owners`` that still work, as far as anybody can tell; an unknown name does not.

        An owner that is said to be gone may still be at work for a moment: its epoch is what keeps it from appending.
        """
        ...


class NoticesLapses(Protocol):
    """Optional, of leases: to know that the own one had run out for a while, however short it is."""

    def lapsed(self) -> bool:
        """Whether it was renewed after it had run out, since the last call. Asked each second, from one thread.

        Others may have taken over runs meanwhile: their owner looks, and leaves those that it has lost.
        """
        ...


class Inbox(Protocol):
    """What others ask of runs, kept until the run's owner has put it on record. Raises :class:`StorageUnavailable`."""

    async def leave(self, run_id: str, request: Request) -> None:
        """Keep a request; it is durable when this returns."""
        ...

    async def find(self, run_id: str) -> Sequence[Request]:
        """The requests to a run, the oldest first."""
        ...

    async def remove(self, run_id: str, request: Request) -> None:
        """Drop a request that :meth:`find` has given; one that is gone already is no error."""
        ...

    async def changed(self) -> Collection[str]:
        """Ids of runs, of any owner, to which there may be requests that came after the last call. Called each second.

        The first call after :meth:`forget` names all runs with requests.
        """
        ...

    def forget(self) -> None:
        """There is a run that was not asked for before."""
        ...

    async def woken(self) -> None:
        """Return when a request has come; an inbox that cannot tell never returns. Cancelled after a second."""
        ...


class SharesRuns(Protocol):
    """Optional ability ``shared-runs``: workers on several machines own the runs of one journal.

    Without it owners and requests are told by locks and files in the state folder, on one machine.
    """

    leases: Leases
    inbox: Inbox
