"""A run without an event loop: a coroutine driven to its end on the spot, for flows that never wait."""

from __future__ import annotations

from agentflow_kernel.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, TypeVar

    T = TypeVar("T")


def drive_to_end(coroutine: Coroutine[Any, Any, T], what: str) -> T:
    """The coroutine's result; raises :class:`UsageError` when it waits for anything, or when that is to be awaited."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        if hasattr(result, "__await__"):
            text = f"{what} gave what has to be awaited: make its last node an `async def` function."
            raise UsageError(text) from None
        return result
    coroutine.close()
    raise UsageError(f"{what} waited for something although nothing in it needs an event loop. Use the async call.")
