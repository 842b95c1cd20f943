"""A scripted provider: answers with the turns it was given, in order, and remembers what it was asked."""

from __future__ import annotations

from agentflow_kernel.contracts.provider import Message, ModelReply, ToolCall, Usage
from agentflow_kernel.errors import PeerUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentflow_kernel.contracts.provider import ModelRequest
    from agentflow_kernel.contracts.values import JSON

    Turn = str | ModelReply | Exception | list[tuple[str, Mapping[str, JSON]]]


class ScriptedProvider:
    """Each call takes the next turn of the script.

    A turn is a text (the final answer), a list of ``(tool name, arguments)`` (tool calls, with ids ``call-1`` …), a
    :class:`ModelReply`, or an exception to raise. A call beyond the script raises ``AssertionError``.
    """

    def __init__(self, turns: Iterable[Turn]) -> None:
        self._turns = iter(turns)
        self._calls = 0
        self._closed = False
        self.requests: list[ModelRequest] = []
        """Every request so far, in order."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Take the next turn."""
        if self._closed:
            raise PeerUnavailable("The scripted provider is closed.", executed="no")
        self.requests.append(request)
        try:
            turn = next(self._turns)
        except StopIteration:
            raise AssertionError(f"The script has no turn for request {len(self.requests)}.") from None
        if isinstance(turn, Exception):
            raise turn
        if isinstance(turn, ModelReply):
            return turn
        if isinstance(turn, str):
            return ModelReply(Message("assistant", turn), usage=Usage(1, 1))
        calls = []
        for name, arguments in turn:
            self._calls += 1
            calls.append(ToolCall(f"call-{self._calls}", name, arguments))
        return ModelReply(Message("assistant", calls=calls), stop_reason="tool_calls", usage=Usage(1, 1))

    async def aclose(self) -> None:
        """Refuse further calls."""
        self._closed = True
