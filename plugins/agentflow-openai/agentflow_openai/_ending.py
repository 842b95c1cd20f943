"""An ending: tells the decoder that the stream is over, since only the decoder knows whether it might end there.

The protocol ends a stream with ``[DONE]``, which many servers leave out: a reason to stop is enough, though the usage
may follow it, so that nobody knows before the stream is over.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from agentflow_kernel.errors import Elapsed, PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from agentflow_http.sse import Event
    from agentflow_http.wire import Wire, WireCall

OVER = b"\x00over"
"""Name of the event that stands for the end of the stream."""


class EndingWire:
    """Fills :class:`~agentflow_http.wire.Wire`: another wire with one event more, after its last or before a fault.

    Where the answer is whole by then, a connection that broke or fell silent does no harm.
    """

    __slots__ = ("_wire",)

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def exchange(self, call: WireCall) -> AsyncGenerator[Sequence[Event]]:
        """The events of the answer, then its end."""
        broken: Elapsed | PeerUnavailable | None = None
        async with aclosing(self._wire.exchange(call)) as batches:
            try:
                async for batch in batches:
                    yield batch
            except (Elapsed, PeerUnavailable) as fault:
                broken = fault
        try:
            if not call.answered:
                yield ((OVER, b""),)
            if broken is not None and not call.answered:
                raise broken
        finally:
            broken = None  # its traceback holds this frame

    async def aclose(self) -> None:
        """Close the other wire."""
        await self._wire.aclose()
