"""A harness of a bus: the members that the suite of buses needs beside those of every harness."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.bus import Bus
    from agentflow_kernel.event import Event


class BoundedBusHarness(Protocol):
    """Optional ability of a bus's harness, declared as ``bounded``: a bus that is full makes its publishers wait."""

    capacity: ClassVar[int]
    """So many events one subscription holds, from 1 to 100, those that are being handled among them."""


class DeadLetterHarness(Protocol):
    """Optional ability of a bus's harness, declared as ``aside``: what was put aside can be looked at."""

    async def dead_letters(self, bus: Bus) -> Sequence[tuple[Event, str]]:
        """Each event that was put aside since the bus was opened, with the reason, in any order."""
        ...
