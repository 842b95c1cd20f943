"""A patch: a changed place in the code, at which a run goes the new way or stays on the one it began."""

from __future__ import annotations

from typing import cast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentflow_kernel.run.history import History
    from agentflow_kernel.run.runtime import Context


def decide(context: Context, patch_id: str) -> bool:
    """Whether the run takes the new way; the decision goes on record with the next batch of the run.

    Nothing that follows from it can be on record without it, so a crash before that batch only decides again.
    """
    history = context.run.history
    if history is None:
        return True
    taken = not _was_here(history, context)
    history.queued.append(("patch", context.path, {"id": patch_id, "taken": taken}, "", 0))
    return taken


def _was_here(history: History, context: Context) -> bool:
    """Whether an earlier owner may have passed this place without a word of the patch."""
    below = f"{context.path}!"
    standing = context.run.standing
    if any(
        path.startswith(below) and not context.has_met(path[len(below) :])
        for path in _paths(history.done, history.intents, standing.timers, standing.deadlines, standing.resolved)
    ):
        return True
    if history.position is not None and context.node in cast("Mapping[str, int]", history.position["visits"]):
        return True  # the records of its visits are behind a snapshot
    folder = context.path.rpartition("/")[0]
    node = f"{folder}/{context.node}" if folder else context.node
    return any(
        path.startswith(node) and path[len(node) : len(node) + 1] in ("", "@", "[") and "!" not in path
        for path in history.done
    )


def _paths(*groups: Iterable[str]) -> Iterable[str]:
    for group in groups:
        yield from group
