"""An auditor: compares journal and ledger of effects after faults, so that nothing is lost and nothing is doubled.

The equations are those of the guarantees: every accepted run is accounted for, no effect is missing, an effect is
there twice only where its step was in flight at a crash, and each history is whole.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from agentflow_kernel.contracts.journal import TERMINAL, chain_hash, compacted_to, encode_record
from agentflow_kernel.contracts.values import Value
from agentflow_kernel.errors import CorruptRecord, UnknownRun
from agentflow_kernel.kernel.payloads import fetch_payloads
from agentflow_kernel.run.compaction import lies_before
from agentflow_kernel.testing.effects import Ledger
from agentflow_kernel.testing.simulation_errors import AuditFailed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from agentflow_kernel.contracts.journal import Journal, Record
    from agentflow_kernel.testing.effects import Effect

_DONE = "step.completed"
IN_FLIGHT = ("queued", "running", "waiting", "suspended")
PARKED = ("stuck", "quarantined")


class Crash(Value):
    """Something that broke off what was in flight: the end of a process, or the suspension of one of its runs.

    ``completed`` are the steps that were on record then, as (run id, path). ``run_id`` is empty for a whole process.
    ``place`` is how many lines the ledger had, -1 where nobody knows. ``owner`` is the process that took over while
    this one stood still, 0 where it had ended: then either of them may be the later one to do what was in flight.
    """

    __slots__ = ("process", "completed", "run_id", "place", "owner")

    def __init__(
        self,
        process: int,
        completed: Collection[tuple[str, str]],
        *,
        run_id: str = "",
        place: int = -1,
        owner: int = 0,
    ) -> None:
        self.process = process
        self.completed = frozenset(completed)
        self.run_id = run_id
        self.place = place
        self.owner = owner

    def explains(self, first: tuple[int, Effect], again: tuple[int, Effect]) -> bool:
        """Whether an effect may be there again after this, as far as times and places go."""
        before, effect = first[1], again[1]
        if self.owner:
            return {before.process, effect.process} == {self.process, self.owner} and self.place <= again[0]
        if before.process != self.process or (self.run_id and self.run_id != effect.run_id):
            return False
        if not self.run_id and effect.process == self.process:
            return False
        return self.place < 0 or first[0] < self.place <= again[0]


class Audit(Value):
    """The figures of an audit. ``statuses`` counts the accepted runs; ``violations`` is empty where all is well."""

    __slots__ = ("accepted", "statuses", "lost", "missing", "effects", "doubled", "crashes", "violations")

    def __init__(
        self,
        accepted: int,
        statuses: Mapping[str, int],
        *,
        lost: Sequence[str],
        missing: Sequence[str],
        effects: int,
        doubled: int,
        crashes: int,
        violations: Sequence[str],
    ) -> None:
        self.accepted = accepted
        self.statuses = dict(statuses)
        self.lost = tuple(lost)
        """Ids of accepted runs that the journal does not have."""
        self.missing = tuple(missing)
        """Keys that were expected and are not in the ledger."""
        self.effects = effects
        self.doubled = doubled
        """Lines of the ledger beyond one a key, attempts of a retry policy left out."""
        self.crashes = crashes
        self.violations = tuple(violations)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.violations

    def check(self) -> None:
        """Raise :class:`AuditFailed` with everything that is wrong."""
        if self.violations:
            raise AuditFailed(self.violations, f" ({self})")

    def __str__(self) -> str:
        statuses = ", ".join(f"{count} {status}" for status, count in sorted(self.statuses.items())) or "none"
        return (
            f"{self.accepted} accepted: {statuses}; lost {len(self.lost)}; {self.effects} effects, "
            f"{len(self.missing)} missing, {self.doubled} doubled; {self.crashes} crashes"
        )


class Auditor:
    """Is told of accepted runs and of crashes while a test goes on, and audits at its end."""

    def __init__(self, ledger: Ledger | None = None) -> None:
        self.ledger = ledger if ledger is not None else Ledger()
        self._keeps_ledger = ledger is None
        """Whether the ledger grows while the test goes on, so that its length says when something was."""
        self.crashes: list[Crash] = []
        self._accepted: dict[str, None] = {}
        self._elsewhere: set[str] = set()

    def accept(self, run_id: str) -> None:
        """``start`` has returned: from now on this run must not be lost."""
        self._accepted[run_id] = None

    def put_aside(self, run_id: str) -> None:
        """This run is accounted for elsewhere: as a dead letter, or quarantined with its journal."""
        self._accepted[run_id] = None
        self._elsewhere.add(run_id)

    async def crashed(self, journal: Journal, process: int, *, run_id: str = "") -> None:
        """A process has ended, or with ``run_id`` only one of its runs was broken off, by a failure of storage.

        Call it before anything goes on: the journal says what was on record.
        """
        await self._note(journal, process, run_id=run_id)

    async def taken_over(self, journal: Journal, process: int, owner: int) -> None:
        """A process stands still, and ``owner`` takes its runs over; call it before the owner does anything."""
        await self._note(journal, process, owner=owner)

    async def _note(self, journal: Journal, process: int, *, run_id: str = "", owner: int = 0) -> None:
        ids = [run_id] if run_id else [info.run_id for info in await journal.runs(limit=1_000_000)]
        done: set[tuple[str, str]] = set()
        for each in ids:
            records = await journal.read(each)
            done |= {(each, record.path) for record in records if record.type == _DONE}
            if compacted_to(records):
                (snapshot,) = await fetch_payloads(journal, records[1:2])
                effects = (effect.path for effect in self.ledger.effects if effect.run_id == each)
                done |= {(each, path) for path in effects if lies_before(snapshot, path)}
        place = len(self.ledger.effects) if self._keeps_ledger else -1
        self.crashes.append(Crash(process, done, run_id=run_id, place=place, owner=owner))

    async def audit(
        self, journal: Journal, *, expected: Iterable[str] = (), at_rest: bool = True, honours_keys: bool = False
    ) -> Audit:
        """The figures and everything that is wrong.

        ``expected`` are keys that must be in the ledger. ``at_rest`` says that no run may be in flight any more.
        With ``honours_keys`` the ledger is that of a sink which applies each key once, so that nothing is doubled.
        """
        violations: list[str] = []
        statuses: Counter[str] = Counter()
        lost: list[str] = []
        for run_id in dict.fromkeys((*self._accepted, *[info.run_id for info in await journal.runs(limit=1_000_000)])):
            status = await self._audit_run(journal, run_id, violations)
            if run_id in self._accepted:
                statuses[status] += 1
            if status == "lost":
                lost.append(run_id)
                violations.append(f"run {run_id} was accepted and is nowhere")
            elif at_rest and status in IN_FLIGHT:
                violations.append(f"run {run_id} is {status} although nothing works any more")
        if sum(statuses.values()) != len(self._accepted):
            violations.append(f"{len(self._accepted)} runs were accepted, {dict(statuses)} are accounted for")
        missing = [key for key in dict.fromkeys(expected) if key not in self.ledger.applied]
        violations.extend(f"effect {key} is missing" for key in missing)
        doubled = self._doubled(violations, honours_keys=honours_keys)
        return Audit(
            len(self._accepted),
            statuses,
            lost=lost,
            missing=missing,
            effects=len(self.ledger.effects),
            doubled=doubled,
            crashes=sum(not crash.run_id and not crash.owner for crash in self.crashes),
            violations=violations,
        )

    async def _audit_run(self, journal: Journal, run_id: str, violations: list[str]) -> str:
        """The status of a run; what is wrong with its history is added."""
        if run_id in self._elsewhere:
            return "dead_lettered"
        try:
            records = await journal.read(run_id)
            status = (await journal.head(run_id)).status
        except CorruptRecord as error:
            violations.append(f"run {run_id}: {error}")
            return "quarantined"
        except UnknownRun:
            return "lost"
        problems = find_problems(records)
        if (status in TERMINAL) != (bool(records) and records[-1].type == "run.ended"):
            problems.append(f"its head says {status}, its last record is {records[-1].type if records else 'missing'}")
        violations.extend(f"run {run_id}: {problem}" for problem in problems)
        return status

    def _doubled(self, violations: list[str], *, honours_keys: bool) -> int:
        """How many effects were repeated; each must have been in flight at a crash."""
        before: dict[str, list[tuple[int, Effect]]] = {}
        doubled = 0
        for line in enumerate(self.ledger.effects):
            effect = line[1]
            earlier = before.setdefault(effect.key, [])
            if earlier and not any(_is_retry(effect, other) for _, other in earlier):
                doubled += 1
                problem = "the sink honours keys" if honours_keys else self._unexplained(earlier[-1], line)
                if problem:
                    what = f"effect {effect.key} of {effect.path!r} in run {effect.run_id}"
                    violations.append(f"{what} is doubled by process {effect.process}: {problem}")
            earlier.append(line)
        return doubled

    def _unexplained(self, first: tuple[int, Effect], again: tuple[int, Effect]) -> str:
        """Why an effect must not be there again; empty where a crash in its middle explains it."""
        found = [crash for crash in self.crashes if crash.explains(first, again)]
        if not found:
            return f"nothing broke off what process {first[1].process} did before"
        if all((again[1].run_id, again[1].path) in crash.completed for crash in found):
            return f"it was on record when process {first[1].process} crashed"
        return ""


def _is_retry(effect: Effect, other: Effect) -> bool:
    """Whether a retry policy has repeated the call in the same process."""
    return effect.process == other.process and effect.attempt > other.attempt


def find_problems(records: Sequence[Record]) -> list[str]:
    """What is wrong with the history of one run; empty where it is whole.

    ``seq`` is contiguous from 0 and the records are chained, but for what was deleted before a snapshot; epochs never
    go down, so no record of an old owner comes after one of a newer one; there is one ``run.started``, at most one
    ``run.ended``, and nothing after that; no step is completed twice; what is published was emitted.
    """
    problems = []
    expected, previous, epoch = 0, "", 0
    seen: set[tuple[str, str]] = set()
    emitted: set[str] = set()
    if records and records[0].type != "run.started":
        problems.append(f"it begins with {records[0].type}")
    for place, record in enumerate(records):
        if place == 1 and record.seq > 1 and record.type == "snapshot":
            emitted.update(f"{record.run_id}/{seq}" for seq in range(1, record.seq))  # nobody can tell any more
            expected, previous = record.seq, record.prev_hash
        if record.seq != expected:
            problems.append(f"record {expected} has the number {record.seq}")
        if record.prev_hash != previous:
            problems.append(f"the chain is broken at record {expected}")
        previous = chain_hash(encode_record(record))
        if record.epoch < epoch:
            problems.append(f"record {expected} is of epoch {record.epoch}, after one of epoch {epoch}")
        epoch = max(epoch, record.epoch)
        if record.type == "run.ended" and place != len(records) - 1:
            problems.append(f"record {expected} is its end, {len(records) - place - 1} come after it")
        once = (record.type, record.path)
        if record.type in _ONCE and once in seen:
            problems.append(f"{record.type} of {record.path!r} is on record twice, again at {expected}")
        expected += 1
        seen.add(once)
        if record.type == "event.emitted":
            emitted.add(f"{record.run_id}/{record.seq}")
        elif record.type == "event.published":
            ids: Sequence[str] = record.payload["ids"]  # type: ignore[call-overload,index,assignment]  # as the engine writes it
            problems.extend(f"event {each} was published and never emitted" for each in ids if each not in emitted)
    return problems


_ONCE = frozenset(("run.started", "run.ended", "step.completed", "timer.fired", "wait.resolved"))
"""Types that a run has at most once for each path."""
