"""A fault: an error of user code or of a peer, as it is told to people, planners and the journal."""

from __future__ import annotations

import sys

from agentflow_kernel.errors import AgentFlowError, JournalError, NonDeterminism, RunCancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.run.history import History

NODE_FAILED = "AF-NODE-FAILED"
"""The code of every error that is not the framework's."""

LONGEST = 16_384
"""Characters of an error's text that are told: heads of runs, records and progress all carry it."""

ENDS_RUN = (JournalError, NonDeterminism, RunCancelled)
"""Errors that end the run's executor: no planner hears of them, no batch skips or collects them."""


def is_broken(history: History | None, error: BaseException) -> bool:
    """Whether it is the journal that failed: then no step may go on as if an item or a tool had."""
    return history is not None and error is history.broken


def stray_cancellation(error: BaseException, what: str) -> Exception | None:
    """The error to raise for a cancellation that nobody asked for, ``None`` for everything else.

    User code that awaits a task which was cancelled raises the cancellation of that task. Taken for a cancellation of
    the run it would suspend it, or make a branch vanish without a word.
    """
    asyncio = sys.modules.get("asyncio")  # elsewhere there is no such task
    if isinstance(error, Exception) or asyncio is None or not isinstance(error, asyncio.CancelledError):
        return None
    import anyio  # lazy: 25 ms, and loaded already wherever there is a loop

    try:
        task, deadline = asyncio.current_task(), anyio.current_effective_deadline()
    except (RuntimeError, anyio.NoEventLoopError):
        return None
    if task is None or task.cancelling() or deadline == -float("inf"):
        return None  # somebody asked for it: whoever holds the task, or a scope
    return RuntimeError(f"{what!r} waited for a task that was cancelled.")


def is_raised(error: BaseException) -> bool:
    """Whether code has raised it: no cancellation, and nobody has closed the coroutine from outside.

    A library or a user may derive an error from ``BaseException``; it is an error like any other then. Left to a task
    group it would come out as one of a group; ``SystemExit`` and ``KeyboardInterrupt`` of a task break asyncio's loop.
    """
    if isinstance(error, Exception):
        return True
    import anyio  # lazy: 25 ms, and loaded already wherever there is a loop

    return not isinstance(error, (GeneratorExit, anyio.get_cancelled_exc_class()))


def code_of(error: BaseException) -> str:
    """The stable code of an error."""
    return error.code if isinstance(error, AgentFlowError) else NODE_FAILED


def text_of(error: BaseException) -> str:
    """What an error says, with its class where it is not the framework's; bounded, and text that can be encoded."""
    text = str(error) if isinstance(error, AgentFlowError) else f"{type(error).__name__}: {error}"
    if isinstance(error, BaseExceptionGroup) and not isinstance(error, AgentFlowError):  # as of a task group of a node
        text = f"{text}: {'; '.join(map(text_of, error.exceptions))}"
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(text)} characters)"
    return printable(text)


def sentence(text: str) -> str:
    """The text with a full stop where it has no end: the words of a peer that more is said after."""
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def printable(text: str) -> str:
    """The text with lone surrogates written out: they come from undecodable bytes, and JSON has no form for them."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
