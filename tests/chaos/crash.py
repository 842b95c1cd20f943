"""A crash: a process that plays a case and is gone at one of its durable operations; and what must hold after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import anyio.to_thread
import pytest
from flows import CASES, World
from flows.triggered import in_world
from idle_clock import IdleClock
from mortal import Doom, MortalJournal, MortalMemory, ProcessDied, mortal_cursors
from play import Play, starter

from agentflow_kernel import Kernel
from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.errors import RunError
from agentflow_kernel.settings import Settings
from agentflow_kernel.testing import Auditor, Effect, Ledger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from flows import Case

    from agentflow_kernel.contracts.journal import Journal, Record, RunInfo
    from agentflow_kernel.contracts.memory import Memory
    from agentflow_kernel.run.history_limits import Limits
    from agentflow_kernel.testing import Audit
    from agentflow_kernel.testing.faults import CrashAt

MOST_S = 60
"""Of real time, for one process: after that its run hangs."""


@dataclass
class Estate:
    """What outlives the processes of one case: journal, memory, auditor and ledger, peers, the state folder."""

    journal: Journal
    memory: Memory
    state: str | None = None
    auditor: Auditor = field(default_factory=Auditor)
    answers: dict[str, int] = field(default_factory=dict)

    async def histories(self) -> dict[str, list[Record]]:
        """The records of every run."""
        infos = await self.journal.runs(limit=1000)
        return {info.run_id: list(await self.journal.read(info.run_id)) for info in infos}

    @property
    def paths(self) -> set[str]:
        """The paths of all effects so far."""
        return {effect.path for effect in self.auditor.ledger.effects}


class Life:
    """One process: a kernel over the estate, until its runs have ended or it dies.

    ``limits`` are those of its histories, where not the case's.
    """

    def __init__(
        self, case: Case, estate: Estate, number: int, doom: Doom | None = None, *, limits: Limits | None = None
    ) -> None:
        self.case = case
        self.estate = estate
        self.number = number
        self.doom = doom or Doom()
        self._limits = limits or case.limits
        self._play = Play(
            case,
            estate.answers,
            state=estate.state,
            suspended=partial(self._crashed, estate.journal),
            is_gone=lambda: self.doom.dead,
        )

    @property
    def refused(self) -> list[str]:
        """Codes of the errors that senders got."""
        return self._play.refused

    async def live(self) -> tuple[str, Any] | None:
        """Start the run or go on with it; how it ended (status, output or code), ``None`` when the process died."""
        world = World(self._note, self.estate.answers)
        target = self.case.build(world)
        others = self.case.others(world) if self.case.others else ()
        try:
            with mortal_cursors(self.doom), in_world(world):
                async with await anyio.to_thread.run_sync(self._kernel) as kernel:
                    kernel.listen(self._play.hear)
                    if target is not None:
                        kernel.add(target)
                    for other in others:
                        kernel.add(other)
                        kernel.on(other.name)(starter(kernel, other))
                    with anyio.fail_after(MOST_S):  # a time limit of the test runner is lost where the loop never rests
                        ended = await self._play.perform(kernel, target)
                    await kernel.recover()  # runs of others that a process before has left
                    await kernel.idle()
        except BaseException as error:
            if not self.doom.dead or not _is_death(error):
                raise
        if not self.doom.dead:
            return ended
        await self.estate.auditor.crashed(self.estate.journal, self.number)
        return None

    def _kernel(self) -> Kernel:
        journal = MortalJournal(self.estate.journal, self.doom)
        if self.case.manifest:
            path, state = self.case.manifest, self.estate.state
            return Kernel.from_manifest(path, settings=Settings(), state=state, journal=journal, trust_code=True)
        memories: Any = {"notes": MortalMemory(self.estate.memory, self.doom)}  # it passes everything on
        return Kernel(
            journal=journal,
            clock=IdleClock(self.doom.progress),
            memories=memories,
            state=self.estate.state,
            limits=self._limits,
        )

    async def _crashed(self, journal: Journal, run_id: str) -> None:
        await self.estate.auditor.crashed(journal, self.number, run_id=run_id)

    def _note(self, run_id: str, path: str, key: str) -> None:
        if self.doom.dead:  # what a dead process does did not happen
            return
        ledger = self.estate.auditor.ledger
        again = sum(each.key == key and each.process == self.number for each in ledger.effects)
        attempt = 1 + again if path in self.case.retried else 1
        ledger.add(Effect(key, run_id, path, self.number, attempt))


class Lived:
    """What came of a case whose first process may have been ended: how, and everything that is wrong."""

    def __init__(self, ended: tuple[str, Any], fault: CrashAt, operations: int, audited: Audited) -> None:
        self.status, self.result = ended
        self.error = ""
        self.operations = operations
        self.strikes = fault.strikes
        self.violations = audited.problems
        self.audit = audited.audit
        self.crashes = audited.audit.crashes


async def live_through(
    case: Case,
    estate: Estate,
    fault: CrashAt,
    inherit: Callable[[Estate], Awaitable[Estate]],
    *,
    limits: Limits | None = None,
) -> Lived:
    """Let a process end as the fault says, and a second one, with what ``inherit`` makes of the estate, go on."""
    doom = Doom(fault)
    ended = await Life(case, estate, 1, doom, limits=limits).live()
    ends = case.ends[:1]
    if ended is None:
        estate = await inherit(estate)
        if any(open_intents(records) for records in (await estate.histories()).values()):
            ends = case.ends
        ended = await Life(case, estate, 2, limits=limits).live()
        assert ended is not None
    audited = await audited_of(case, estate)
    if ended not in ends:
        audited.problems.append(f"it ended {ended!r}, expected one of {ends!r}")
    return Lived(ended, fault, doom.operations, audited)


def judge(undisturbed: Lived, crashed: Lived) -> list[str]:
    """What is wrong with it, and whether it was not ended although it came so far.

    What is cancelled may have come further the first time, in another order of tasks.
    """
    missed = not crashed.crashes and bool(crashed.strikes)
    return [*crashed.violations, *(["no process was ended"] if missed else [])]


def _is_death(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_death, error.exceptions))
    return isinstance(error, ProcessDied | RunError)


def key_of(run_id: str, path: str) -> str:
    """The idempotency key of an action, as the promise has it; what the engine gives must be the same."""
    return sha256(f"{run_id}\n{path}".encode()).hexdigest()[:32]


def open_intents(records: Sequence[Record]) -> set[str]:
    """The effects that were begun and left no word of how they ended."""
    begun: set[str] = set()
    for record in records:
        if record.type == "step.intent":
            begun.add(record.path)
        elif record.type in ("step.completed", "step.failed"):
            begun.discard(record.path)
    return begun


def names() -> list[Any]:
    """The cases as parameters of tests; the code of a manifest is read when it is first needed."""
    blocking = {True: [pytest.mark.blocking], False: []}
    return [pytest.param(name, id=name, marks=blocking[bool(case.manifest)]) for name, case in CASES.items()]


class Audited(NamedTuple):
    """What the auditor has counted at the end, what it finds wrong, and what is not as the case says."""

    audit: Audit
    problems: list[str]


async def problems_of(case: Case, estate: Estate) -> list[str]:
    """All that is wrong at the end."""
    return (await audited_of(case, estate)).problems


async def audited_of(case: Case, estate: Estate) -> Audited:
    """The audit at the end."""
    infos = await estate.journal.runs(limit=1000)
    for info in infos:
        estate.auditor.accept(info.run_id)
    audit = await estate.auditor.audit(estate.journal)
    allowed = TERMINAL | ({"stuck"} if case.otherwise else set())
    expected = {case.status, *[status for status, _ in (case.copy.first if case.copy else ())]}
    found = [*audit.violations, *[f"a run is {status} at rest" for status in audit.statuses if status not in allowed]]
    misses = case.misses(estate.paths, crashed=bool(estate.auditor.crashes))
    whole = all(info.status in expected for info in infos)
    if whole:
        found += _problems_of_runs(case, infos, estate.auditor.ledger)
    return Audited(audit, found + [each for each in misses if whole or not each.startswith("lost")])


def _problems_of_runs(case: Case, infos: Sequence[RunInfo], ledger: Ledger) -> list[str]:
    """What single runs have done too little or too much, where the case has several."""
    expected = {info.run_id: case.effects for info in infos if case.manifest}
    if case.copy is not None:
        expected = {info.run_id: case.copy.effects for info in infos if info.parent}
        assert len(expected) == 1, "there is one copy"
    done: dict[str, set[str]] = {}
    for effect in ledger.effects:
        done.setdefault(effect.run_id, set()).add(effect.path)
    return [
        f"run {run_id} has done {sorted(done.get(run_id, ()))}, expected {sorted(paths)}"
        for run_id, paths in expected.items()
        if done.get(run_id, set()) != paths
    ]
