"""A case: one small flow with its input, what is sent to it meanwhile, how it ends and what it must do outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentflow_kernel import Agent, Context, Flow
    from agentflow_kernel.contracts.policy import Request
    from agentflow_kernel.run.history_limits import Limits


class World:
    """What a flow touches outside its run: ``note(run_id, path, key)`` is one effect on the ledger.

    ``answers`` outlives processes: a peer that is down the first time is up the second time.
    """

    def __init__(self, note: Callable[[str, str, str], None], answers: dict[str, int] | None = None) -> None:
        self._note = note
        self.answers: dict[str, int] = {} if answers is None else answers

    def effect(self, context: Context, below: str = "") -> None:
        """The effect of an action, or of what is done below it under an identity of its own."""
        self._note(context.run_id, context.path + below, context.key + below)

    def called(self, request: Request) -> None:
        """The effect of a call that comes by a policy."""
        self._note(request.run_id, request.path, request.key)

    def count(self, name: str) -> int:
        """How often this was asked for, this time included."""
        self.answers[name] = self.answers.get(name, 0) + 1
        return self.answers[name]

    def noted(self, function: Callable[[Any], Any] = lambda value: value) -> Callable[[Any, Context], Awaitable[Any]]:
        """A step that has an effect and gives what ``function`` makes of its input."""

        async def step(value: Any, context: Context) -> Any:
            self.effect(context)
            await anyio.lowlevel.checkpoint()
            return function(value)

        return step


@dataclass(frozen=True)
class Send:
    """What somebody outside does once ``when`` was told.

    ``kind`` is ``signal``, ``answer``, ``event``, ``cancel``, ``suspend`` or ``inbox_cancel``. ``when`` is the name of
    a progress event and, after a colon, of its wait; empty for at once, ``ended`` for after the end. An answer is that
    of ``by``, for the content with this ``hash``, by default that which is asked. ``refused`` is the code of the error
    that the sender gets.
    """

    when: str
    kind: str
    name: str = ""
    value: Any = None
    id: str = ""
    refused: str = ""
    by: str = ""
    hash: str = ""


@dataclass(frozen=True)
class Copy:
    """The copy of a run that a person makes once it has ended, after mending what ``mended`` in the answers stands for.

    ``kind`` is ``retry`` or ``fork``, ``first`` lists the ends (status, output or code) of the run that is copied, and
    of the one that a crash has left in the middle of that. ``effects`` are the paths of all that the copy does.
    """

    kind: str
    first: Sequence[tuple[str, Any]]
    effects: frozenset[str]
    step: str | None = None
    value: Any = None


@dataclass(frozen=True)
class Case:
    """One flow and all that is expected of it.

    ``effects`` are the paths of the effects that must be on the ledger, ``perhaps`` those that may be. ``retried``
    are paths that one process may repeat by itself, ``held`` those of runs whose event the bus of the process holds: a
    crash loses it, and they may be missing then. ``otherwise`` lists the ends (status, output or code) that only a
    crash can lead to. ``event`` is the type of the event that starts it, empty where it is started by name.
    """

    name: str
    build: Callable[[World], Flow | Agent | None]
    input: Any = None
    status: str = "completed"
    output: Any = None
    code: str = ""
    effects: frozenset[str] = frozenset()
    perhaps: frozenset[str] = frozenset()
    retried: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    otherwise: Sequence[tuple[str, Any]] = ()
    sends: Sequence[Send] = ()
    event: str = ""
    others: Callable[[World], Sequence[Flow | Agent]] | None = None
    """Flows that its events start, each for events of the type with the flow's name."""
    timed: bool = False
    """Whether it waits for a time that no test would wait for by the clock on the wall."""
    resumes: int = 0
    """How often it stops by itself, or is stopped, and is taken up again."""
    copy: Copy | None = None
    """What becomes of it when it has ended: then the end is that of the copy."""
    limits: Limits | None = None
    """Those of its history, where they are lower than usual."""
    manifest: str = ""
    """The file of the manifest that has it, and the trigger of the case's name; ``build`` gives ``None`` then."""

    def misses(self, found: set[str], *, crashed: bool) -> list[str]:
        """What is wrong with the paths of the effects that were found."""
        expected = self.effects - self.held if crashed else self.effects
        unforeseen = found - self.effects - self.perhaps
        return [f"lost: {path!r}" for path in sorted(expected - found)] + [
            f"unforeseen: {path!r}" for path in sorted(unforeseen)
        ]

    @property
    def ends(self) -> list[tuple[str, Any]]:
        """The end that it comes to when nothing happens, then those after a crash."""
        return [(self.status, self.output if self.status == "completed" else self.code), *self.otherwise]


def paths(*names: str) -> frozenset[str]:
    """The paths of effects; a blank separates them, too."""
    return frozenset(part for name in names for part in name.split())
