"""A harness of a provider: a far side under its control, which repeats what it is told unless the suite says else."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from agentflow_kernel.testing.harness import Harness

if TYPE_CHECKING:
    from agentflow_kernel.contracts.provider import ModelReply, Provider

ProviderFault = Literal[
    "rate-limit", "outage", "cut", "silence", "garbage", "credential", "unknown-model", "too-long", "refusal"
]
"""What may happen at the far side.

``rate-limit``: it turns the call away and asks to come again after :data:`RETRY_AFTER_S`. ``outage``: it answers that
it is broken. ``cut``: it answers half a turn, then the connection is gone. ``silence``: half a turn, then nothing for
longer than the provider waits, which is below five seconds. ``garbage``: it says what is no answer. ``credential``: it
does not know the key. ``unknown-model``, ``too-long``: it has no such model, or the request is more than it holds.
``refusal``: its policy forbids the call.
"""
RETRY_AFTER_S = 7.0
"""What a far side asks for that turns a call away, in seconds."""


class ProviderHarness(Harness, Protocol):
    """What the suite of providers needs.

    The far side of each subject of :meth:`Harness.open` answers every request, any number at the same time, with the
    text of its last message and the stop reason ``end``, unless it was told otherwise for the next request.
    """


class ScriptedProviderHarness(Protocol):
    """Optional ability of a provider's harness, declared as ``scripted``."""

    def answer_next(self, provider: Provider, reply: ModelReply) -> None:
        """Let the far side answer the next request with this turn; what it counts as usage is its own affair."""
        ...


class FailingProviderHarness(Protocol):
    """Optional ability of a provider's harness, with ``service``, ``credentials``, ``models`` and ``refuses``."""

    def fail_next(self, provider: Provider, fault: ProviderFault) -> None:
        """Let this happen at the next request; raises :class:`Unsupported` for what cannot happen to this provider."""
        ...

    def count_requests(self, provider: Provider) -> int:
        """How many requests have reached the far side."""
        ...


class SecretProviderHarness(Protocol):
    """Optional ability of a provider's harness, declared as ``credentials``."""

    secret: ClassVar[str]
    """The key that its subjects show to the far side, which repeats it in what it says with ``credential``."""


class SlowProviderHarness(Protocol):
    """Optional ability of a provider's harness, declared as ``slow``."""

    def hold_next(self, provider: Provider) -> None:
        """Let the far side begin the next answer, with some text, and then say nothing until the caller has gone."""
        ...

    async def wait_gone(self, provider: Provider) -> None:
        """Return when the far side has seen that the caller of a held answer has gone."""
        ...
