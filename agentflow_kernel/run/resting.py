"""A rest: the time in which an action only waits. A run in which every action rests shows as ``waiting``.

``Run.busy`` counts the actions that may be at work: one for the run, one more for each further worker of a group, one
less for each action that rests. Only the record that brings the count to nothing carries the mark ``waiting``; where
the last action at work ends beside others that rest, the record of one of those is repeated with the mark.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.run.history import Line
    from agentflow_kernel.run.runtime import Run


def rest(run: Run, line: Line) -> None:
    """The action whose wait or timer the line records rests from now on."""
    standing, action = run.standing, _action_of(line[1])
    standing.announced[line[1]] = line
    count = standing.resting.get(action, 0) + 1
    standing.resting[action] = count
    if count == 1:  # a second wait of the same action makes it rest no more
        run.busy -= 1


def work_on(run: Run, path: str) -> None:
    """The wait at ``path`` is over."""
    standing, action = run.standing, _action_of(path)
    standing.announced.pop(path, None)
    standing.resting[action] -= 1
    if not standing.resting[action]:
        del standing.resting[action]
        run.busy += 1


async def announce(run: Run, path: str) -> None:
    """Put the wait at ``path`` on record, with the mark if nothing of the run is at work."""
    if run.history is None:
        return
    kind, _, payload, input_hash, size = run.standing.announced[path]
    if run.busy <= 0:
        payload = {**payload, "waiting": True}  # type: ignore[dict-item]  # an object, by those who rest
    await run.history.commit([(kind, path, payload, input_hash, size)])


async def at_rest(run: Run) -> None:
    """An action has ended, or looks on while others act: where all that is left rests, say so on record."""
    if run.busy > 0 or run.history is None or not run.rests:
        return
    announced = run.standing.announced
    if announced:
        await announce(run, next(iter(announced)))


def _action_of(path: str) -> str:
    return path.partition("!")[0]
