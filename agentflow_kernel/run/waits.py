"""A wait: an action that goes on when its time has come or its signal is there, also after a restart."""

from __future__ import annotations

from typing import cast

import anyio

from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.errors import AgentFlowError, Elapsed, UsageError
from agentflow_kernel.flow.state import copied
from agentflow_kernel.run.canonical import to_json
from agentflow_kernel.run.resting import announce, rest, work_on
from agentflow_kernel.run.standing import OpenWait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.runtime import Context, Run
    from agentflow_kernel.run.standing import Signal, Standing

LOOK_EVERY_S = 60.0
"""How often a waiting process looks at the wall clock, which may have been set or have gone on while it was asleep."""
WAITING_AFTER_S = 10.0
"""An action with a timer that has more than this to go is not at work."""
_NOTHING_LEFT_S = 1e-6
_CLOCK = SystemClock()


async def sleep_until_due(context: Context, path: str, seconds: float) -> None:
    """Wait for the timer at ``path``; its deadline is the one on record, if there is one."""
    run, history, standing = context.run, context.run.history, context.run.standing
    clock = clock_of(run)
    if path in standing.fired:
        return
    deadline = standing.timers.get(path)
    known = deadline is not None
    if deadline is None:
        deadline = clock.now() + seconds
    standing.timers[path] = deadline
    long = deadline - clock.now() > WAITING_AFTER_S
    if long:  # once more on record by a new owner: it waits again
        rest(run, ("timer.set", path, {"deadline": deadline}, "", 0))
    try:
        if long:
            await announce(run, path)
        elif history is not None and not known:
            await history.commit([("timer.set", path, {"deadline": deadline}, "", 0)])
        context.tell("timer.set", {"deadline": deadline})
        await until(clock, deadline)
    finally:
        if long:
            work_on(run, path)
    if history is not None:
        await history.commit([("timer.fired", path, {"deadline": deadline}, "", 0)])
    standing.fired.add(path)


def clock_of(run: Run) -> Clock:
    """The clock that the run waits by."""
    return run.services.clock or _CLOCK


async def until(clock: Clock, deadline: float) -> None:
    """Return when the wall clock shows the deadline, or when as much time has gone by as it showed to be left."""
    end = clock.monotonic() + deadline - clock.now()
    while (left := min(end - clock.monotonic(), deadline - clock.now())) > _NOTHING_LEFT_S:
        await clock.sleep(min(left, LOOK_EVERY_S))


async def wait_for_signal(context: Context, path: str, name: str, schema: JSON, timeout_s: float | None) -> JSON:
    """The value of the signal that resolves the wait at ``path``; raises :class:`Elapsed`, and :class:`UsageError`."""
    given: object = timeout_s
    if given is not None and not (isinstance(given, (int, float)) and -1e12 < given < 1e12):
        raise UsageError(f"wait({name!r}): timeout_s is {timeout_s!r}: expected a finite number of seconds, or None.")
    return value_of(await outcome_of(context, path, OpenWait(name, schema), timeout_s), f"Signal {name!r}")


def value_of(outcome: Mapping[str, JSON], what: str) -> JSON:
    """The value with which a wait ended; raises :class:`Elapsed` where it ended without one."""
    if "value" in outcome:
        return outcome["value"]
    error = Elapsed(what, float(outcome["elapsed"] or 0.0))  # type: ignore[arg-type]  # a number
    error.executed = "no"
    error.resumable = False  # it is on record: a resumed run would get no further
    raise error


async def outcome_of(context: Context, path: str, wait: OpenWait, timeout_s: float | None) -> Mapping[str, JSON]:
    """How the wait at ``path`` ended: ``value``, or ``elapsed`` with the seconds; on record when this returns.

    It is a copy where another attempt, or another owner, may find the same again.
    """
    run, standing = context.run, context.run.standing
    before = context.kept[path][1] if path in context.kept else standing.resolved.get(path)
    if before is not None:
        return cast("Mapping[str, JSON]", copied(before))
    clock = clock_of(run)
    deadline = None if timeout_s is None else clock.now() + timeout_s
    wait.deadline = standing.deadlines.setdefault(path, deadline)
    wait.news = anyio.Event()
    standing.open.append(wait)
    if wait.asks:
        standing.asked[path] = wait.told()
    resting = False
    try:
        if wait.may_take_early(clock.now()):
            await _take_early(run, standing, wait)
        if wait.signal is None:
            payload, text = to_json(wait.told(), path)
            rest(run, ("wait.opened", path, payload, "", len(text)))
            resting = True
            await announce(run, path)
            context.tell("wait.opened", {"name": wait.name})
            await _signal_or_deadline(clock, wait)
            work_on(run, path)
            resting = False
        outcome = await _resolve(run, path, wait, timeout_s)
        wait.signal = None
    finally:
        if resting:
            work_on(run, path)
        standing.open.remove(wait)
        standing.asked.pop(path, None)
        if wait.signal is not None:  # cancelled between signal and record: another wait may have it
            standing.deliver(wait.signal)
    context.kept[path] = ("", outcome)
    context.tell("wait.resolved", {"name": wait.name})
    return cast("Mapping[str, JSON]", copied(outcome)) if context.may_repeat else outcome


async def _take_early(run: Run, standing: Standing, wait: OpenWait) -> None:
    """Take the first signal that came before the wait and fits; those that do not fit are left out, on record."""
    for signal in [signal for signal in standing.buffered.values() if signal[1] == wait.name]:
        if wait.signal is not None or standing.buffered.pop(signal[0], None) is None:
            continue
        refusal = wait.refusal(signal[2])
        if refusal is None:
            wait.signal = signal
        elif run.history is not None:
            refused: dict[str, JSON] = {"signal": signal[0], "problems": [str(refusal)]}
            await run.history.commit([("signal.consumed", "", refused, "", 0)])


async def _signal_or_deadline(clock: Clock, wait: OpenWait) -> None:
    """Return when the wait has its signal or its deadline is over."""
    if wait.deadline is None:
        await wait.news.wait()
        return
    deadline = wait.deadline
    async with anyio.create_task_group() as group:

        async def ring() -> None:
            await until(clock, deadline)
            wait.news.set()

        group.start_soon(ring)
        await wait.news.wait()
        group.cancel_scope.cancel()


async def _resolve(run: Run, path: str, wait: OpenWait, timeout_s: float | None) -> dict[str, JSON]:
    """Put on record how the wait ended: by its signal where there is one, else by its deadline."""
    payload = wait.ended()
    if wait.signal is not None:
        payload["signal"] = wait.signal[0]
        outcome: dict[str, JSON] = {"value": wait.signal[2]}
    else:
        payload["elapsed"] = timeout_s
        outcome = payload
    if run.history is not None:
        await run.history.commit([("wait.resolved", path, payload, "", 0)])
    return outcome


async def accept(run: Run, name: str, value: object, signal_id: str) -> bool:
    """Take a signal in; ``False`` when one with this id has been accepted before, which changes nothing.

    It is on record when this returns. Raises :class:`InputInvalid` when the run waits for a signal of this name and
    the value fits none of those waits, :class:`NotSerialisable`, and :class:`RunEnded`.
    """
    standing = run.standing

    def refusal_of(value: JSON) -> AgentFlowError | None:
        refusals = [wait.refusal(value) for wait in standing.candidates(name)]
        return refusals[0] if refusals and all(refusals) else None

    return await take(run, (signal_id, name, value), refusal_of)  # type: ignore[arg-type]  # JSON is checked there


async def take(run: Run, signal: Signal, refusal_of: Callable[[JSON], AgentFlowError | None]) -> bool:
    """Put a signal on record and deliver it, unless it is known (``False``) or ``refusal_of`` has an error for it."""
    standing = run.standing
    signal_id, name, given = signal
    value, text = to_json(given, f"signal {name}")
    if standing.turn is None:
        standing.turn = anyio.Lock()
    async with standing.turn:
        if signal_id in standing.known:
            return False
        refusal = refusal_of(value)
        if refusal is not None:
            raise refusal
        if run.history is not None:
            payload: dict[str, JSON] = {"signal": signal_id, "name": name, "value": value}
            try:
                await run.history.commit([("signal.received", "", payload, "", len(text))])
            finally:
                if run.history.broken is not None:
                    standing.give_up()  # nothing can be appended any more: no signal will ever come
        standing = run.standing  # a run that was taken up anew meanwhile may have found it on record
        if signal_id not in standing.known:
            standing.know(signal_id)
            standing.deliver((signal_id, name, value))
    return True
