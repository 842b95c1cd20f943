"""A dialect: what one vendor's protocol differs in, as pure functions; everything that does I/O is shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from agentflow_kernel.contracts.values import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.provider import ModelInfo, ModelReply, ModelRequest
    from agentflow_kernel.contracts.values import JSON

    Executed = Literal["no", "maybe", "yes"]

FaultKind = Literal["usage", "credential", "model", "prompt", "rate", "unavailable", "refused", "protocol"]
"""Which of the kernel's errors an answer stands for.

``usage``: :class:`UsageError`; ``credential``: :class:`CredentialRefused`; ``model``: :class:`UnknownModel`;
``prompt``: :class:`PromptTooLong`; ``rate``: :class:`RateLimited`; ``unavailable``: :class:`PeerUnavailable`;
``refused``: :class:`Refused`; ``protocol``: :class:`ProtocolViolation`.
"""


class Fault(Value):
    """What a vendor's error says. ``message`` is the vendor's own words, ``type`` its name for the error.

    ``executed`` and ``retry_after_s`` overrule what is otherwise known: the default of the kind, and the header
    ``Retry-After``.
    """

    __slots__ = ("kind", "message", "type", "executed", "retry_after_s")

    def __init__(
        self,
        kind: FaultKind,
        message: str,
        *,
        type: str = "",
        executed: Executed | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.kind: FaultKind = kind
        self.message = message
        self.type = type
        self.executed: Executed | None = executed
        self.retry_after_s = retry_after_s


class Faulted(Exception):
    """A decoder met the vendor's error inside an answer that had begun well; never leaves the provider."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.kind)
        self.fault = fault


class Decoder(Protocol):
    """Reads the events of one streamed answer. Not shared between calls."""

    done: bool
    """Whether the answer is whole; what comes after is not read."""

    def feed(self, name: bytes, data: bytes) -> str:
        """The text that one event brings, mostly a few characters, empty for none.

        Unknown events are read past. Raises :class:`Faulted` for an error event; :class:`ProtocolViolation`, or an
        exception of msgspec, for data that is not what the protocol says.
        """
        ...

    def reply(self) -> ModelReply:
        """The whole turn; called once, after ``done``.

        Without a cost in its usage it is reckoned from :attr:`Dialect.models`; vendors with other rules set it here.
        """
        ...


class Dialect(Protocol):
    """One vendor's protocol. No I/O, no clock, no environment; one object serves all calls of a provider."""

    @property
    def vendor(self) -> str:
        """How messages name the peer: ``Anthropic``."""
        ...

    @property
    def path(self) -> str:
        """Where requests go, below the base URL: ``/v1/messages``."""
        ...

    @property
    def models(self) -> Sequence[ModelInfo]:
        """The table of models that ships with the plugin; a name that is not in it goes to the vendor unchanged."""
        ...

    def headers(self, key: str) -> Mapping[str, str]:
        """The vendor's headers, the key among them; ``""`` is no key. Content type and idempotency are added."""
        ...

    def encode(self, request: ModelRequest, model: str) -> dict[str, JSON]:
        """The body of a request for a streamed answer; ``model`` is the vendor's name.

        Raises :class:`UsageError` for what the protocol cannot express.
        """
        ...

    def decoder(self, request: ModelRequest) -> Decoder:
        """A new decoder for the answer to this request."""
        ...

    def decode(self, request: ModelRequest, body: bytes) -> ModelReply:
        """The turn in an answer that was not streamed: some gateways ignore that a stream was asked for.

        Raises like :meth:`Decoder.feed`.
        """
        ...

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        """What an answer with a status of 400 or more means; ``body`` may be cut, empty or no JSON at all.

        :func:`agentflow_http.faults.kind_of_status` gives the kind where the vendor says nothing better.
        """
        ...
