"""An effect: something that a step did to the world outside, as the ledger of effects has it, one line each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agentflow_kernel.contracts.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentflow_kernel.contracts.policy import Call, Request
    from agentflow_kernel.run.runtime import Context


class Effect(Value):
    """One line of the ledger.

    ``key`` is the idempotency key, ``path`` the identity of the step. ``process`` tells the processes of a test
    apart: a number, or the id of a real one. ``attempt`` is raised by a retry policy, which is no doubling. ``at`` is
    in seconds of any clock.
    """

    __slots__ = ("key", "run_id", "path", "process", "attempt", "at")

    def __init__(
        self, key: str, run_id: str = "", path: str = "", process: int = 0, attempt: int = 1, at: float = 0.0
    ) -> None:
        self.key = key
        self.run_id = run_id
        self.path = path
        self.process = process
        self.attempt = attempt
        self.at = at


class Ledger:
    """The effects of a test in their order. As a policy it notes each call before it is made.

    A sink that honours keys has ``applied`` one for each key; one that does not has all of ``effects``.
    """

    def __init__(self, effects: Iterable[Effect] = ()) -> None:
        self.effects = list(effects)
        self.process = 1
        """Who does what is noted from now on."""
        self.stopped = False
        """What is noted while this is set did not happen: the process is gone."""

    @classmethod
    def from_lines(cls, lines: Iterable[str | bytes]) -> Ledger:
        """The ledger that another process has kept: one JSON object a line; ``pid`` will do for ``process``."""
        effects = []
        for line in lines:
            entry = json.loads(line)
            process = int(entry.get("process", entry.get("pid", 0)))
            run_id = str(entry.get("run_id", entry.get("run", "")))
            attempt, at = int(entry.get("attempt", 1)), float(entry.get("at", entry.get("t", 0.0)))
            effects.append(Effect(str(entry["key"]), run_id, str(entry.get("path", "")), process, attempt, at))
        return cls(effects)

    def note(self, context: Context, call: str = "") -> None:
        """Write down that this action, or a call in it, has its effect now."""
        path = f"{context.path}!{call}" if call else context.path
        self.add(Effect(context.run.key_of(path), context.run_id, path, self.process, context.attempt, context.now()))

    def add(self, effect: Effect) -> None:
        """Write one line, unless the process that does it is gone."""
        if not self.stopped:
            self.effects.append(effect)

    def wrap(self, call: Call) -> Call:
        """The call, noted first: the ledger as a policy."""

        async def noted(request: Request) -> object:
            attempt = getattr(request, "attempt", 1)
            self.add(Effect(request.key, request.run_id, request.path, self.process, attempt))
            return await call(request)

        return noted

    @property
    def applied(self) -> dict[str, Effect]:
        """The first effect of each key: what a sink that honours keys has done."""
        first: dict[str, Effect] = {}
        for effect in self.effects:
            first.setdefault(effect.key, effect)
        return first
