"""A step: one action of a plan, with what it needs, when it runs, and what happens when it fails."""

from __future__ import annotations

from agentflow_kernel.contracts.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from agentflow_kernel.contracts.values import JSON

    Kind = Literal["tool", "agent", "model", "flow", "plan", "emit", "wait", "ask"]
    OnError = Literal["fail", "skip", "retry", "replan", "continue"]

KINDS = ("tool", "agent", "model", "flow", "plan", "emit", "wait", "ask")
ON_ERROR = ("fail", "skip", "retry", "replan", "continue")
PAYING = ("model", "agent")
"""Kinds of steps that ask a model, and pay for one call when they begin."""
END = "end"
"""The target of a route that leads nowhere on."""


class Retry(Value):
    """How often a step is tried in all; between, ``wait_s`` seconds, times ``factor`` each time, to ``max_wait_s``."""

    __slots__ = ("attempts", "wait_s", "factor", "max_wait_s")

    def __init__(self, attempts: int = 3, wait_s: float = 1.0, factor: float = 2.0, max_wait_s: float = 60.0) -> None:
        self.attempts = attempts
        self.wait_s = wait_s
        self.factor = factor
        self.max_wait_s = max_wait_s

    def delay_s(self, failed: int) -> float:
        """Seconds to wait after so many failed attempts, from 1."""
        wait: float = min(self.wait_s * self.factor ** min(failed - 1, 64), self.max_wait_s)
        return wait

    def waits_s(self) -> float:
        """Seconds of all waits together, at worst."""
        return sum(self.delay_s(failed) for failed in range(1, min(self.attempts, 1_000)))


class Route(Value):
    """Where a plan goes on after a step: to another step, or to ``end``; the first whose ``when`` is true is taken.

    A route back to a step before it makes a loop; ``most``, ``max`` in the document, is how often it may be taken.
    """

    __slots__ = ("to", "when", "most")

    def __init__(self, to: str, when: str | None = None, most: int | None = None) -> None:
        self.to = to
        self.when = when
        self.most = most


class CostEstimate(Value):
    """What one attempt of a step may cost at worst; ``None`` is unknown."""

    __slots__ = ("usd", "seconds", "tokens", "model_calls")

    def __init__(
        self,
        usd: float | None = None,
        seconds: float | None = None,
        tokens: int | None = None,
        model_calls: int | None = None,
    ) -> None:
        self.usd = usd
        self.seconds = seconds
        self.tokens = tokens
        self.model_calls = model_calls


class Step(Value):
    """One action of a plan, as its document says; ``source`` is that piece of the document.

    ``pre`` and ``post`` are facts, ``"!x"`` for one that must not hold or no longer holds. ``expect`` is an expression
    over ``result``; a result for which it is false is a failure, as is one that does not fit ``returns``.
    """

    __slots__ = (
        "id", "kind", "name", "args", "needs", "when", "on_error", "retry", "routes", "writes", "reads", "idempotent",
        "timeout", "cost_estimate", "returns", "expect", "pre", "post", "source",
    )  # fmt: skip

    def __init__(self, source: Mapping[str, JSON]) -> None:
        """A step of this document, with the default for everything but ``id`` and ``kind``."""
        self.id: str = ""
        self.kind: Kind = "tool"
        self.name = ""
        self.args: Mapping[str, JSON] = {}
        self.needs: Sequence[str] = ()
        self.when: str | None = None
        self.on_error: OnError = "fail"
        self.retry: Retry | None = None
        self.routes: Sequence[Route] = ()
        self.writes: Sequence[str] = ()
        self.reads: Sequence[str] = ()
        self.idempotent: bool | None = None
        self.timeout: float | None = None
        self.cost_estimate: CostEstimate | None = None
        self.returns: Mapping[str, JSON] | None = None
        self.expect: str | None = None
        self.pre: Sequence[str] = ()
        self.post: Sequence[str] = ()
        self.source = source

    @property
    def attempts(self) -> int:
        """How often the step is tried at most, in one turn of its loops."""
        if self.retry is not None:
            return self.retry.attempts
        return DEFAULT_RETRY.attempts if self.on_error == "retry" else 1


DEFAULT_RETRY = Retry()
"""What ``on_error: retry`` means where the step has no ``retry`` of its own."""
