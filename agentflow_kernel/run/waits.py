"""A wait: an action that goes on when its time has come or its signal is there, also after a restart."""

from __future__ import annotations

import anyio

from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.errors import Elapsed, InputInvalid
from agentflow_kernel.run.canonical import to_json
from agentflow_kernel.run.standing import OpenWait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.runtime import Context, Run
    from agentflow_kernel.run.standing import Signal, Standing

LOOK_EVERY_S = 60.0
"""How often a waiting process looks at the wall clock, which may have been set or have gone on while it was asleep."""
WAITING_AFTER_S = 10.0
"""A timer with more than this to go shows the run as ``waiting``."""
_NOTHING_LEFT_S = 1e-6
_CLOCK = SystemClock()


async def sleep_until_due(context: Context, path: str, seconds: float) -> None:
    """Wait for the timer at ``path``; its deadline is the one on record, if there is one."""
    run, history, standing = context.run, context.run.history, context.run.standing
    clock = _clock_of(run)
    if path in standing.fired:
        return
    deadline = standing.timers.get(path)
    known = deadline is not None
    if deadline is None:
        deadline = clock.now() + seconds
    left = deadline - clock.now()
    if history is not None and (not known or left > WAITING_AFTER_S):  # once more by a new owner: it waits again
        payload: dict[str, JSON] = {"deadline": deadline}
        if left > WAITING_AFTER_S:
            payload["waiting"] = True
        await history.commit([("timer.set", path, payload, "", 0)])
    standing.timers[path] = deadline
    context.tell("timer.set", {"deadline": deadline})
    await _until(clock, deadline)
    if history is not None:
        await history.commit([("timer.fired", path, {"deadline": deadline}, "", 0)])
    standing.fired.add(path)


def _clock_of(run: Run) -> Clock:
    return run.services.clock or _CLOCK


async def _until(clock: Clock, deadline: float) -> None:
    """Return when the wall clock shows the deadline, or when as much time has gone by as it showed to be left."""
    end = clock.monotonic() + deadline - clock.now()
    while (left := min(end - clock.monotonic(), deadline - clock.now())) > _NOTHING_LEFT_S:
        await clock.sleep(min(left, LOOK_EVERY_S))


async def wait_for_signal(context: Context, path: str, name: str, schema: JSON, timeout_s: float | None) -> JSON:
    """The value of the signal that resolves the wait at ``path``."""
    run, standing = context.run, context.run.standing
    if path in context.kept:
        return _outcome(context.kept[path][1], name)
    if path in standing.resolved:
        return _outcome(standing.resolved[path], name)
    clock = _clock_of(run)
    deadline = None if timeout_s is None else clock.now() + timeout_s
    wait = OpenWait(name, schema, standing.deadlines.get(path, deadline), anyio.Event())
    standing.deadlines[path] = wait.deadline
    standing.open.append(wait)
    try:
        await _take_early(run, standing, wait)
        if wait.signal is None:
            if run.history is not None:
                await run.history.commit([("wait.opened", path, *_opening(wait, path))])
            context.tell("wait.opened", {"name": name})
            await _signal_or_deadline(clock, wait)
        outcome = await _resolve(run, path, wait, timeout_s)
        wait.signal = None
    finally:
        standing.open.remove(wait)
        if wait.signal is not None:  # cancelled between signal and record: another wait may have it
            standing.deliver(wait.signal)
    context.kept[path] = ("", outcome)
    context.tell("wait.resolved", {"name": name})
    return _outcome(outcome, name)


def _opening(wait: OpenWait, path: str) -> tuple[JSON, str, int]:
    """What is on record of an open wait: enough for a sender elsewhere to know what fits."""
    told = {"name": wait.name, "schema": wait.schema, "deadline": wait.deadline, "waiting": True}
    payload, text = to_json(told, path)
    return payload, "", len(text)


async def _take_early(run: Run, standing: Standing, wait: OpenWait) -> None:
    """Take the first signal that came before the wait and fits; those that do not fit are left out, on record."""
    for signal in [signal for signal in standing.buffered.values() if signal[1] == wait.name]:
        if wait.signal is not None or standing.buffered.pop(signal[0], None) is None:
            continue
        problems = wait.problems(signal[2])
        if not problems:
            wait.signal = signal
        elif run.history is not None:
            refused: dict[str, JSON] = {"signal": signal[0], "problems": list(problems)}
            await run.history.commit([("signal.consumed", "", refused, "", 0)])


async def _signal_or_deadline(clock: Clock, wait: OpenWait) -> None:
    """Return when the wait has its signal or its deadline is over."""
    if wait.deadline is None:
        await wait.news.wait()
        return
    deadline = wait.deadline
    async with anyio.create_task_group() as group:

        async def ring() -> None:
            await _until(clock, deadline)
            wait.news.set()

        group.start_soon(ring)
        await wait.news.wait()
        group.cancel_scope.cancel()


async def _resolve(run: Run, path: str, wait: OpenWait, timeout_s: float | None) -> dict[str, JSON]:
    """Put on record how the wait ended: by its signal where there is one, else by its deadline."""
    payload: dict[str, JSON] = {"name": wait.name}
    if wait.signal is not None:
        payload["signal"] = wait.signal[0]
        outcome: dict[str, JSON] = {"value": wait.signal[2]}
    else:
        payload["elapsed"] = timeout_s
        outcome = payload
    if run.history is not None:
        await run.history.commit([("wait.resolved", path, payload, "", 0)])
    return outcome


def _outcome(resolved: object, name: str) -> JSON:
    outcome: dict[str, JSON] = resolved  # type: ignore[assignment]  # as written by _resolve
    if "value" in outcome:
        return outcome["value"]
    error = Elapsed(f"Signal {name!r}", float(outcome["elapsed"] or 0.0))  # type: ignore[arg-type]  # a number
    error.executed = "no"
    error.resumable = False  # it is on record: a resumed run would get no further
    raise error


async def accept(run: Run, name: str, value: object, signal_id: str) -> bool:
    """Take a signal in; ``False`` when one with this id has been accepted before, which changes nothing.

    It is on record when this returns. Raises :class:`InputInvalid` when the run waits for a signal of this name and
    the value fits none of those waits, :class:`NotSerialisable`, and :class:`RunEnded`.
    """
    standing = run.standing
    value, text = to_json(value, f"signal {name}")
    if standing.turn is None:
        standing.turn = anyio.Lock()
    async with standing.turn:
        if signal_id in standing.known:
            return False
        waits = standing.candidates(name)
        problems = [wait.problems(value) for wait in waits]
        if waits and all(problems):
            raise InputInvalid(f"Signal {name!r}", "; ".join(problems[0]))
        signal: Signal = (signal_id, name, value)
        if run.history is not None:
            payload: dict[str, JSON] = {"signal": signal_id, "name": name, "value": value}
            try:
                await run.history.commit([("signal.received", "", payload, "", len(text))])
            finally:
                if run.history.broken is not None:
                    for wait in standing.open:  # nothing can be appended any more: no signal will ever come
                        wait.news.set()
        standing.known.add(signal_id)
        standing.deliver(signal)
    return True
