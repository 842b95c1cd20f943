"""A recovery: the open runs that nobody works on are verified and resumed, in order and at a measured pace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_kernel.contracts.journal import TERMINAL, Record, chain_hash, encode_record
from agentflow_kernel.errors import (
    AgentFlowError,
    CorruptRecord,
    EnvironmentChanged,
    PluginError,
    ProtocolViolation,
    RunBusy,
    StorageUnavailable,
    UnknownRun,
    UsageError,
)
from agentflow_kernel.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.journal import Journal, RunInfo
    from agentflow_kernel.kernel.runs import Prepared, Runs
    from agentflow_kernel.run.handle import RunHandle
    from agentflow_kernel.run.history import History
    from agentflow_kernel.run.standing import Standing

    Due = tuple[tuple[float, ...], RunInfo]
    """A run in the order in which it is resumed."""

MOST = 1_000_000
"""Runs that one recovery looks at, at most."""
KEPT_BYTES = 64 << 20
"""Of histories that were verified and are kept until their turn; those of other runs are read again then."""
BEHIND_S = 0.1
"""How much time that resuming has cost may be made up for: a stall must not end in a burst."""


class Recovery:
    """What a recovery came to.

    ``found`` runs were open and nobody's: as many as all the others together. ``resumed`` are at work here;
    ``parked`` wait for a person (stuck, or the environment has changed); ``quarantined`` are damaged; ``unservable``
    need a flow, code or a plugin that is not here; ``elsewhere`` ended, or another process took them, meanwhile.
    """

    __slots__ = ("found", "parked", "quarantined", "unservable", "elsewhere", "seconds", "handles")

    def __init__(self) -> None:
        self.found = 0
        self.parked = 0
        self.quarantined = 0
        self.unservable = 0
        self.elsewhere = 0
        self.seconds = 0.0
        self.handles: list[RunHandle] = []
        """Of the resumed runs, in the order in which they were resumed."""

    @property
    def resumed(self) -> int:
        """Runs that are at work here now, or were and have ended already."""
        return len(self.handles)


async def recover(
    runs: Runs,
    run_ids: Sequence[str] | None = None,
    *,
    per_s: float = 100.0,
    priority: Callable[[RunInfo], float] | None = None,
    accept_environment: bool = False,
) -> Recovery:
    """See :meth:`~agentflow_kernel.kernel.operations.RunOperations.recover`."""
    clock, result, log = runs.clock, Recovery(), get_logger("agentflow.kernel")
    began = clock.monotonic()
    queue, ready = await _verify(runs, None if run_ids is None else frozenset(run_ids), priority, result)
    pace = Pace(clock, per_s)
    for _, info in queue:
        await pace.turn()
        try:
            known = ready.pop(info.run_id, None)
            handle = await runs.resume(info.run_id, accept_environment=accept_environment, prepared=known)
            result.handles.append(handle)
        except Exception as error:  # noqa: BLE001 -- it is counted, or raised again
            await _set_aside(runs, info, error, result)
    result.seconds = clock.monotonic() - began
    counts = {name: getattr(result, name) for name in ("found", "resumed", "parked", "quarantined", "unservable")}
    log.info("runs.recovered", **counts, elsewhere=result.elsewhere, seconds=round(result.seconds, 3))
    return result


async def _verify(
    runs: Runs, wanted: frozenset[str] | None, priority: Callable[[RunInfo], float] | None, result: Recovery
) -> tuple[list[Due], dict[str, Prepared]]:
    """The runs that can be resumed, in order, and as many of their histories as may be kept; counts the others."""
    from agentflow_kernel.kernel.runs import prepare  # it imports this module where it quarantines

    queue: list[Due] = []
    ready: dict[str, Prepared] = {}
    room = KEPT_BYTES
    for info in await _find(runs):
        if wanted is not None and info.run_id not in wanted:
            continue
        result.found += 1
        if info.status != "suspended":
            _count(result, info.status)
            continue
        try:
            prepared = await prepare(runs, info.run_id)
        except Exception as error:  # noqa: BLE001 -- it is counted, or raised again
            await _set_aside(runs, info, error, result)
            continue
        overdue = _overdue(runs, prepared[1])
        if room >= prepared[1].size_bytes:
            room -= prepared[1].size_bytes
            ready[info.run_id] = prepared
        rank = 0.0 if priority is None else priority(info)
        queue.append(((1.0, rank, info.started_at) if overdue is None else (0.0, overdue, 0.0), info))
    queue.sort(key=lambda item: (item[0], item[1].run_id))
    return queue, ready


async def _find(runs: Runs) -> list[RunInfo]:
    """The runs that have not ended and that nobody works on."""
    found: dict[str, RunInfo] = {}
    for status in ("suspended", "stuck", "quarantined"):
        found.update((info.run_id, info) for info in await runs.infos(status=status, limit=MOST))
    return list(found.values())


def _overdue(runs: Runs, history: History) -> float | None:
    """The earliest deadline of the run that is over, ``None`` without one."""
    if history.standing is None:
        return None
    now = runs.clock.now()
    return min((deadline for deadline in _deadlines(history.standing) if deadline <= now), default=None)


def _deadlines(standing: Standing) -> list[float]:
    """Those of timers that have not fired and of waits that are not resolved."""
    timers = [deadline for path, deadline in standing.timers.items() if path not in standing.fired]
    waits = [deadline for path, deadline in standing.deadlines.items() if path not in standing.resolved]
    return [*timers, *(deadline for deadline in waits if deadline is not None)]


async def _set_aside(runs: Runs, info: RunInfo, error: Exception, result: Recovery) -> None:
    """Count a run that cannot be resumed, and say why; raises what would hinder every other run, too."""
    log, status = get_logger("agentflow.kernel"), ""
    if isinstance(error, CorruptRecord):
        status = "quarantined"
        await quarantine(runs.journal, info.run_id, error, runs.clock.now())
    elif isinstance(error, EnvironmentChanged):
        status = "parked"
    elif isinstance(error, RunBusy | UnknownRun) or await _has_ended(runs, info):
        result.elsewhere += 1
        return
    elif isinstance(error, UsageError | PluginError | ProtocolViolation):
        status = "unservable"
    else:
        raise error
    _count(result, status)
    log.warning("run.not_resumed", status=status, run_id=info.run_id, name=info.name, error=str(error))


def _count(result: Recovery, status: str) -> None:
    name = "parked" if status == "stuck" else status
    setattr(result, name, getattr(result, name) + 1)


async def _has_ended(runs: Runs, info: RunInfo) -> bool:
    return (await runs.journal.head(info.run_id)).status in TERMINAL


async def quarantine(journal: Journal, run_id: str, error: CorruptRecord, now: float) -> None:
    """Put on record that a run is damaged, at the end of its history, so that no later recovery takes it up.

    The epoch rises, so that whoever still has the run stops. Where not even that can be written, the journal itself
    shows the run as quarantined, or the next recovery comes to the same end.
    """
    try:
        info = await journal.head(run_id)
        if info.status == "quarantined":
            return
        payload = {"status": "quarantined", "cause": error.code, "error": error.problem}
        record = Record(run_id, info.next_seq, "run.suspended", "", payload, info.epoch + 1, ts=now)
        record.prev_hash = await _tail(journal, info)
        await journal.append(run_id, info.next_seq, info.epoch + 1, [record])
    except StorageUnavailable:
        raise
    except AgentFlowError as fault:
        get_logger("agentflow.kernel").warning("run.not_quarantined", run_id=run_id, error=str(fault))


async def _tail(journal: Journal, info: RunInfo) -> str:
    """The hash of the last record; ``""`` where that is what is damaged."""
    try:
        (last,) = await journal.read(info.run_id, info.next_seq - 1)
    except (CorruptRecord, ValueError):
        return ""
    return chain_hash(encode_record(last))


class Pace:
    """Gives turns, at most ``per_s`` a second, evenly spread; the first one is at once."""

    def __init__(self, clock: Clock, per_s: float) -> None:
        if not per_s > 0:
            raise UsageError(f"per_s is {per_s!r}: expected a number of runs a second above 0.")
        self._clock = clock
        self._gap_s = 1.0 / per_s
        self._due = clock.monotonic()

    async def turn(self) -> None:
        """Return when it is the next one's turn; other tasks have had theirs."""
        now = self._clock.monotonic()
        due = max(self._due, now - BEHIND_S)
        self._due = due + self._gap_s
        await self._clock.sleep(max(due - now, 0.0))
