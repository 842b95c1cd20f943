"""A source: where trigger events come from, such as a file, a folder or a clock."""

from __future__ import annotations

from typing import Protocol

from agentflow_kernel.contracts.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.event import Event


class SourceItem(Value):
    """One event and the cursor that continues after it."""

    __slots__ = ("event", "cursor")

    def __init__(self, event: Event, cursor: JSON) -> None:
        self.event = event
        self.cursor = cursor


class Source(Protocol):
    """A stream of events. Finite sources end their iterator; endless ones end it at :meth:`aclose`.

    A source whose attribute ``continues`` is true is given the cursor of its last event at the next firing. What the
    consumer asks the next item for counts as received.
    """

    def events(self, cursor: JSON = None) -> AsyncIterator[SourceItem]:
        """Events in order, from the start or after ``cursor``. One iterator at a time.

        The iterator does not run ahead by more than one item. Input that cannot be read raises a typed error that
        names it: :class:`InputInvalid`, :class:`StorageUnavailable`, :class:`PathRefused`.
        """
        ...

    async def aclose(self) -> None:
        """Stop and give back what was opened; may be called twice."""
        ...
