"""A taker: a handler that remembers what it gets and answers as the event asks; and the ways to wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import anyio

from agentflow_kernel.contracts.bus import Ack, DeadLetter, Drop, Retry
from agentflow_kernel.event import Event
from agentflow_specs.suites.bus.abilities import clock_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from agentflow_kernel.contracts.bus import Outcome, Subscription
    from agentflow_kernel.testing import Harness

PATIENCE_S: Final = 30.0
"""How long a delivery may take."""
RETRY_S: Final = 0.05
"""After how many seconds the takers ask for an event again."""
_STEP_S = 0.05
_LONG_S = 3600.0


def make_event(name: object, key: str | None = None, *, type: str = "suite.thing", deed: str = "ack") -> Event:
    """An event whose id is the name; the takers do with it what ``deed`` says."""
    return Event(type, {"deed": deed}, id=str(name), extensions={} if key is None else {"partitionkey": key})


class Taker:
    """Notes each event and does what ``deed`` in its data says.

    ``ack``, ``none``, ``drop``, ``dead``; ``retry`` or ``raise`` the first time; ``poison`` always raises, ``again``
    always asks for it again.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        """What came, in order."""
        self.ended = 0
        """So many calls have ended."""

    @property
    def ids(self) -> list[str]:
        """The ids of what came, in order."""
        return [event.id for event in self.events]

    async def __call__(self, event: Event) -> Outcome | None:
        """Take one event."""
        first = event.id not in self.ids
        self.events.append(event)
        await anyio.lowlevel.checkpoint()
        self.ended += 1
        return self.answer(event, first=first)

    def answer(self, event: Event, *, first: bool) -> Outcome | None:
        """What becomes of it."""
        found: Any = event.data
        deed = found.get("deed", "none") if isinstance(found, dict) else "none"
        if deed == "poison" or (deed == "raise" and first):
            raise RuntimeError(f"é 🐎 cannot take {event.id}")
        if deed == "again" or (deed == "retry" and first):
            return Retry(RETRY_S)
        outcomes = {"drop": Drop("not wanted"), "dead": DeadLetter("not to be read"), "none": None}
        return outcomes.get(deed, Ack())


class SlowTaker(Taker):
    """Takes an event only once its gate is open; use it in ``with``, whose end opens it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = anyio.Event()
        self.under_way = 0
        """So many calls are waiting at the gate."""
        self.most = 0
        """So many were at the same time."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.gate.set()  # a bus that is closed waits for its handlers

    async def __call__(self, event: Event) -> Outcome | None:
        """Wait at the gate, then take it."""
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.gate.wait()
        finally:
            self.under_way -= 1
        return await super().__call__(event)


async def pass_time(harness: Harness, seconds: float = _STEP_S) -> None:
    """Let time pass for the bus: by its clock, where there is one, else really."""
    if harness.declared["clock"]:
        await clock_of(harness).advance(seconds)
    await anyio.sleep(0.001 if harness.declared["clock"] else min(seconds, 0.7))


async def until(harness: Harness, condition: Callable[[], bool]) -> None:
    """Let time pass until it is so; raises ``TimeoutError`` where that takes too long."""
    with anyio.fail_after(PATIENCE_S):
        while not condition():
            await pass_time(harness)


async def quiet(harness: Harness) -> None:
    """Let so much time pass that whatever is still to come has come."""
    for _ in range(3 if harness.declared["clock"] else 1):
        await pass_time(harness, _LONG_S)


async def drained(harness: Harness, *subscriptions: Subscription) -> None:
    """Drain subscriptions one after the other, and let time pass meanwhile."""

    async def drain() -> None:
        for subscription in subscriptions:
            await subscription.drain()
        done.set()

    done = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(drain)
        await until(harness, done.is_set)
