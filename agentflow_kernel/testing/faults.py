"""A fault: something that goes wrong in a simulation, by its name, and when."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from agentflow_kernel.contracts.values import Value
from agentflow_kernel.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable

FAULTS = {
    "crash": "the process ends before or after a durable operation, or round an event or a call",
    "lost-batch": "the process ends and the batches that were not synced are gone",
    "torn-tail": "the process ends and the last batch is on disk in part",
    "slow-disk": "a sync takes seconds",
    "eio": "an append fails and keeps nothing",
    "fsync": "a sync fails: nobody knows what is kept until the journal is opened again",
    "disk-full": "no append succeeds for some seconds, then there is space again",
    "second-owner": "the process stands still and a second one takes its runs over; then it goes on as if nothing were",
    "duplicate-event": "the bus delivers an event again",
    "delayed-event": "the bus delivers an event late, so that events of other keys pass it",
    "clock-jump": "the wall clock is set forward or back, by up to a day",
    "timeout": "a call is not answered in time, and may have had its effect",
    "429": "a call is turned away, with or without saying when to come again",
    "500": "a call fails, and may have had its effect",
    "529": "a call meets an overload and is turned away",
    "half-stream": "the connection ends in the middle of an answer",
    "malformed": "a call is answered by what is no answer",
}
"""Every fault by its name, and what it does."""
ENDS_PROCESS = ("crash", "lost-batch", "torn-tail")
OF_CALLS = ("timeout", "429", "500", "529", "half-stream", "malformed")
"""Faults that a flow may rightly pass on: what its policies do not catch ends the run."""
RATES = (0.02, 0.08, 0.2, 0.5)
"""How likely a fault is where it may strike; each seed draws one rate for each fault."""
MOST = 4
"""How often one fault strikes in one simulation; after that there is peace, so that everything can come to its end."""


class Strike(Value):
    """A fault that has struck: its name, where, in which process, at which virtual second."""

    __slots__ = ("name", "place", "process", "at")

    def __init__(self, name: str, place: str, process: int, at: float) -> None:
        self.name = name
        self.place = place
        self.process = process
        self.at = at


class Faults:
    """Decides by the seed whether a fault strikes; the same questions in the same order have the same answers.

    ``without`` are numbers, from 0, of strikes that are left out: what is left may be easier to understand.
    Raises :class:`UnknownName` for a name that is not in :data:`FAULTS`.
    """

    def __init__(self, names: Iterable[str] = (), seed: int | str = 0, *, without: Iterable[int] = ()) -> None:
        self.names = tuple(sorted(set(names)))
        for name in self.names:
            if name not in FAULTS:
                raise UnknownName("fault", name, FAULTS)
        self.dice = Random(f"{seed}/faults")  # noqa: S311 -- no secret, and the same in every process
        self._rates = {name: self.dice.choice(RATES) for name in self.names}
        self._left = dict.fromkeys(self.names, MOST)
        self.strikes: list[Strike] = []
        self.without = frozenset(without)
        self.drawn = 0
        """Strikes so far, those that were left out included."""

    def strike(self, name: str, place: str, process: int, at: float) -> bool:
        """Whether the fault strikes here and now."""
        if not self._left.get(name) or self.dice.random() >= self._rates[name]:
            return False
        self._left[name] -= 1
        self.drawn += 1
        if self.drawn - 1 in self.without:
            return False
        self.strikes.append(Strike(name, place, process, at))
        return True

    def end_of_process(self, operation: int, place: str, process: int, at: float) -> tuple[str, str] | None:
        """Whether the process ends at its durable operation of this number: the fault, and ``before`` or ``after``."""
        for name in ENDS_PROCESS:
            if self.strike(name, place, process, at):
                return name, self.dice.choice(("before", "after"))
        return None


class CrashAt(Faults):
    """Ends the process at one durable operation of its whole life, before or after it, and does nothing else."""

    def __init__(self, operation: int, when: str) -> None:
        super().__init__()
        self.operation = operation
        self.when = when

    def end_of_process(self, operation: int, place: str, process: int, at: float) -> tuple[str, str] | None:
        """Whether this is the operation."""
        if operation != self.operation:
            return None
        self.strikes.append(Strike("crash", f"{self.when} {place}", process, at))
        return "crash", self.when
