"""A bus: carries events to handlers, at least once, acknowledged after success, in order per key."""

from __future__ import annotations

from typing import Protocol

from agentflow_kernel.contracts.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentflow_kernel.event import Event


class Ack(Value):
    """The event was handled."""

    __slots__ = ()


class Retry(Value):
    """Deliver the event again, not before ``after_s`` seconds."""

    __slots__ = ("after_s",)

    def __init__(self, after_s: float = 0.0) -> None:
        self.after_s = after_s


class DeadLetter(Value):
    """Put the event aside with a reason; it is not delivered again."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Drop(Value):
    """Forget the event, on purpose and with a reason that is counted."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


if TYPE_CHECKING:
    Outcome = Ack | Retry | DeadLetter | Drop
    Handler = Callable[[Event], Awaitable[Outcome | None]]


class Subscription(Protocol):
    """A running subscription."""

    async def drain(self) -> None:
        """Return when every event accepted so far has been handled, put aside or dropped."""
        ...

    async def aclose(self) -> None:
        """Stop taking events, let handlers under way end; may be called twice."""
        ...


class Bus(Protocol):
    """Publish and subscribe. Default: at least once; a handler's ``None`` means :class:`Ack`, an exception a retry.

    Order holds per ``partitionkey`` (events without one share a key), also over retries.
    """

    async def publish(self, event: Event) -> None:
        """Return when the bus has accepted the event; waits while the bus is full."""
        ...

    async def subscribe(
        self, pattern: str, handler: Handler, *, group: str = "", max_in_flight: int = 16
    ) -> Subscription:
        """Call ``handler`` for each event whose type matches ``pattern``.

        A pattern is an event type, ``prefix.*`` (that prefix and what is below it) or ``*``. Subscriptions with the
        same non-empty ``group`` share the events. At most ``max_in_flight`` handlers run at a time.
        """
        ...

    async def aclose(self) -> None:
        """Stop; may be called twice. Later calls raise :class:`Unavailable`."""
        ...
