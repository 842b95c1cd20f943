"""An overheard request: one call of a model whose text is handed on as it is written."""

from __future__ import annotations

from contextlib import aclosing
from typing import cast

from agentflow_kernel.contracts.provider import ModelReply, ModelRequest
from agentflow_kernel.errors import ProtocolViolation, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentflow_kernel.run.drive import Hear


class OverheardRequest(ModelRequest):
    """A request as any other, to policies and providers. Each attempt is heard from its beginning."""

    __slots__ = ("hear",)

    hear: Hear  # set by overheard(): a request is made the same way everywhere

    async def ask(self, provider: Any) -> ModelReply:
        """Have the provider answer, and ``hear`` called with each piece of text and where it stands.

        A provider that turns out not to stream, such as one that stands before another, answers as ever.
        """
        offset = 0
        try:
            async with aclosing(provider.stream(self)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, ModelReply):
                        return piece
                    self.hear(piece, offset)
                    offset += len(piece)
        except Unsupported:
            if offset:
                raise
            return cast("ModelReply", await provider.complete(self))
        raise ProtocolViolation("The provider's stream ended without a reply.", executed="maybe")


def overheard(request: ModelRequest, hear: Hear) -> OverheardRequest:
    """The request, to be heard."""
    heard = OverheardRequest.__new__(OverheardRequest)
    for name in request.content:  # whatever a request may have some day
        setattr(heard, name, getattr(request, name))
    heard.hear = hear
    return heard
