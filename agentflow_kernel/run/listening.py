"""Listening: a planner with nothing to do rests, on record, until a signal comes or its timer rings."""

from __future__ import annotations

from agentflow_kernel.contracts.planner import Observation
from agentflow_kernel.run.resting import announce
from agentflow_kernel.run.waits import WAITING_AFTER_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.drive import Drive
    from agentflow_kernel.run.history import Line
    from agentflow_kernel.run.standing import Signal

ANY = "*"
_OF_A_WAIT = "!"
"""Stands in the names of answers and events, which are for the wait at that path and nobody else."""


def begin_rest(drive: Drive) -> list[Line]:
    """The planner rests from now on; the line for its decision's batch, where nothing else of the run is at work."""
    run = drive.context.run
    if run.history is None or not _is_long(drive) or _first(drive) is not None:
        return []
    line = _line(drive)
    run.standing.announced[line[1]] = line
    if run.busy > 1:  # the planner itself counts as one until it looks on
        return []
    payload: dict[str, JSON] = {**line[2], "waiting": True}  # type: ignore[dict-item]  # an object, made below
    return [(line[0], line[1], payload, "", 0)]


async def rest_on(drive: Drive) -> None:
    """The planner looks on and is counted out; say that it rests where that is not on record of this owner."""
    run = drive.context.run
    if drive.open or not _is_long(drive):
        return
    if run.history is None:
        drive.context.tell("wait.opened", {"name": ANY})
        return
    line = _line(drive)
    if line[1] not in run.standing.announced:
        run.standing.announced[line[1]] = line
        if run.busy <= 0:
            await announce(run, line[1])
    drive.context.tell("wait.opened", {"name": line[2]["name"]})  # type: ignore[index, call-overload]  # made there


def end_rest(drive: Drive) -> None:
    """The planner rests no more: its next decision says so."""
    run = drive.context.run
    if run.rests:
        run.standing.announced.pop(_path(drive), None)


def next_signal(drive: Drive) -> tuple[Observation, Sequence[Line]] | None:
    """The first signal that nobody has taken and the planner listens to, with its lines; ``None`` without one."""
    signal = _first(drive)
    if signal is None:
        return None
    del drive.context.run.standing.buffered[signal[0]]
    end_rest(drive)
    taken: dict[str, JSON] = {"signal": signal[0], "by": drive.context.path}
    return Observation("signal", signal[1], signal[2]), [("signal.consumed", "", taken, "", 0)]


def _first(drive: Drive) -> Signal | None:
    names = drive.signals
    if names:
        for signal in drive.context.run.standing.buffered.values():
            if signal[1] in names or (ANY in names and _OF_A_WAIT not in signal[1]):
                return signal
    return None


def _is_long(drive: Drive) -> bool:
    """Whether it may take long; a short timer is no rest."""
    return bool(drive.signals) or (drive.timer is not None and drive.timer - drive.clock.now() > WAITING_AFTER_S)


def _line(drive: Drive) -> Line:
    name = drive.signals[0] if len(drive.signals) == 1 else ANY
    told: dict[str, JSON] = {"name": name, "schema": None, "deadline": drive.timer}
    return ("wait.opened", _path(drive), told, "", 0)


def _path(drive: Drive) -> str:
    return f"{drive.context.path}!signals"
