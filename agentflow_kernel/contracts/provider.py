"""A provider: one language-model service behind a small contract; messages, tools and usage in neutral types."""

from __future__ import annotations

from typing import Literal, Protocol, cast

from agentflow_kernel.contracts.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from typing import Any

    from agentflow_kernel.contracts.values import JSON

Role = Literal["system", "user", "assistant", "tool"]
StopReason = Literal["end", "tool_calls", "max_tokens", "stop_sequence", "refusal"]


class ToolCall(Value):
    """The model asks for one tool call. ``name`` is the tool's name (``files.read``), ``arguments`` a JSON object."""

    __slots__ = ("id", "name", "arguments")

    def __init__(self, id: str, name: str, arguments: Mapping[str, JSON]) -> None:
        self.id = id
        self.name = name
        self.arguments = arguments

    def to_json(self) -> dict[str, JSON]:
        """The call as a JSON object."""
        return {"id": self.id, "name": self.name, "arguments": self.arguments}

    @classmethod
    def from_json(cls, document: Mapping[str, JSON]) -> ToolCall:
        """The call that :meth:`to_json` wrote."""
        return cls(str(document["id"]), str(document["name"]), cast("Mapping[str, JSON]", document["arguments"]))


class Message(Value):
    """One turn of a conversation.

    ``text`` is what people read. An assistant's turn may hold ``calls``; a ``tool`` turn answers exactly one call by
    ``call_id`` and says with ``is_error`` whether it went wrong. ``parts`` carries vendor content unchanged
    (images, reasoning blocks), each a JSON object with a ``type``.
    """

    __slots__ = ("role", "text", "calls", "call_id", "is_error", "parts")

    def __init__(
        self,
        role: Role,
        text: str = "",
        *,
        calls: Sequence[ToolCall] = (),
        call_id: str | None = None,
        is_error: bool = False,
        parts: Sequence[Mapping[str, JSON]] = (),
    ) -> None:
        self.role = role
        self.text = text
        self.calls = tuple(calls)
        self.call_id = call_id
        self.is_error = is_error
        self.parts = tuple(parts)

    def to_json(self) -> dict[str, JSON]:
        """The message as a JSON object; empty fields are left out."""
        document: dict[str, JSON] = {"role": self.role, "text": self.text}
        if self.calls:
            document["calls"] = [call.to_json() for call in self.calls]
        if self.call_id is not None:
            document["call_id"] = self.call_id
        if self.is_error:
            document["is_error"] = True
        if self.parts:
            document["parts"] = list(self.parts)
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, JSON]) -> Message:
        """The message that :meth:`to_json` wrote."""
        find: Any = document.get
        message = cls(find("role"), str(document["text"]))
        if len(document) > 2:  # each call of a model reads its whole history: most messages have no more than these
            message.calls = tuple([ToolCall.from_json(call) for call in find("calls", ())])
            call_id = find("call_id")
            message.call_id = None if call_id is None else str(call_id)
            message.is_error = bool(find("is_error", False))
            message.parts = tuple(find("parts", ()))
        return message


class Usage(Value):
    """What one call consumed: tokens, and US dollars where a price is known (``None`` where not).

    ``input_tokens`` counts the whole prompt; ``cached_tokens`` of them were read from the provider's cache and
    ``cache_write_tokens`` written to it. ``output_tokens`` includes what the model thought.
    """

    __slots__ = ("input_tokens", "output_tokens", "cached_tokens", "cost_usd", "cache_write_tokens")

    def __init__(
        self,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cached_tokens: int = 0,
        cost_usd: float | None = None,
        cache_write_tokens: int = 0,
    ) -> None:
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.cached_tokens = cached_tokens
        self.cost_usd = cost_usd
        self.cache_write_tokens = cache_write_tokens

    def to_json(self) -> dict[str, JSON]:
        """The usage as a JSON object."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_tokens": self.cached_tokens,
            "cost_usd": self.cost_usd,
            "cache_write_tokens": self.cache_write_tokens,
        }


class Prices(Value):
    """What a model costs, in US dollars per million tokens, as of a date (``2026-11-21``) and from a source.

    ``cached`` and ``cache_write`` are those of tokens read from and written to the provider's cache; where they are
    ``None`` such tokens cost what others of the prompt do.
    """

    __slots__ = ("input", "output", "cached", "cache_write", "as_of", "source")

    def __init__(
        self,
        input: float,
        output: float,
        *,
        cached: float | None = None,
        cache_write: float | None = None,
        as_of: str = "",
        source: str = "",
    ) -> None:
        self.input = input
        self.output = output
        self.cached = cached
        self.cache_write = cache_write
        self.as_of = as_of
        self.source = source

    def cost_of(self, usage: Usage) -> float:
        """US dollars for one call."""
        read, written = usage.cached_tokens, usage.cache_write_tokens
        plain = max(usage.input_tokens - read - written, 0)
        dollars = plain * self.input + usage.output_tokens * self.output
        dollars += read * (self.input if self.cached is None else self.cached)
        dollars += written * (self.input if self.cache_write is None else self.cache_write)
        return dollars / 1_000_000


class ModelInfo(Value):
    """A model that a provider knows: the vendor's name, shorter ones, limits in tokens (0: not known) and prices."""

    __slots__ = ("name", "aliases", "context_tokens", "output_tokens", "prices")

    def __init__(
        self,
        name: str,
        *,
        aliases: Sequence[str] = (),
        context_tokens: int = 0,
        output_tokens: int = 0,
        prices: Prices | None = None,
    ) -> None:
        self.name = name
        self.aliases = tuple(aliases)
        self.context_tokens = context_tokens
        self.output_tokens = output_tokens
        self.prices = prices


class ToolInfo(Value):
    """How a tool is shown to a model: its name, what it does, and a JSON Schema of its arguments."""

    __slots__ = ("name", "description", "parameters")

    def __init__(self, name: str, description: str, parameters: Mapping[str, JSON]) -> None:
        self.name = name
        self.description = description
        self.parameters = parameters

    def to_json(self) -> dict[str, JSON]:
        """The tool as a JSON object."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}


class ModelRequest(Value):
    """One call of a model.

    ``messages`` are in order of time and end with a user or tool turn. ``model`` is the vendor's name or ``""`` for
    the provider's default. ``output_schema`` asks for JSON of that JSON Schema. ``key`` is the idempotency key,
    the same on every attempt. ``max_tokens`` bounds the answer, ``None`` leaves it to the provider.
    """

    __slots__ = ("messages", "model", "tools", "output_schema", "max_tokens", "temperature", "key")

    def __init__(
        self,
        messages: Sequence[Message],
        *,
        model: str = "",
        tools: Sequence[ToolInfo] = (),
        output_schema: Mapping[str, JSON] | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        key: str = "",
    ) -> None:
        self.messages = tuple(messages)
        self.model = model
        self.tools = tuple(tools)
        self.output_schema = output_schema
        self.max_tokens = max_tokens
        self.temperature = temperature
        self.key = key


class ModelReply(Value):
    """The model's turn: the message to append to the conversation, why it stopped, and what it cost."""

    __slots__ = ("message", "stop_reason", "usage", "model")

    def __init__(
        self, message: Message, *, stop_reason: StopReason = "end", usage: Usage | None = None, model: str = ""
    ) -> None:
        self.message = message
        self.stop_reason = stop_reason
        self.usage = usage if usage is not None else Usage()
        self.model = model

    def to_json(self) -> dict[str, JSON]:
        """The reply as a JSON object."""
        return {
            "message": self.message.to_json(),
            "stop_reason": self.stop_reason,
            "usage": self.usage.to_json(),
            "model": self.model,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, JSON]) -> ModelReply:
        """The reply that :meth:`to_json` wrote."""
        return cls(
            Message.from_json(cast("Mapping[str, JSON]", document["message"])),
            stop_reason=cast("StopReason", document["stop_reason"]),
            usage=Usage(**cast("dict[str, int]", document["usage"])),
            model=str(document["model"]),
        )


class Provider(Protocol):
    """A language-model service. Calls may run at the same time; no retries inside, the kernel's policies do that.

    An attribute ``provider_name``, where there is one, names the vendor in traces; else the distribution does.
    """

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer one request.

        Cancellation closes the connection and is raised on. Raises :class:`RateLimited`, :class:`PeerUnavailable`,
        :class:`Elapsed`, :class:`Refused`, :class:`CredentialRefused`, :class:`UnknownModel`, :class:`PromptTooLong`
        or :class:`ProtocolViolation`, each with ``executed`` set.
        """
        ...

    async def aclose(self) -> None:
        """Give back connections; may be called twice; calls under way end with :class:`PeerUnavailable`."""
        ...


class StreamsTokens(Protocol):
    """Optional ability ``stream``: text as it is written."""

    def stream(self, request: ModelRequest) -> AsyncIterator[str | ModelReply]:
        """Yield pieces of text in order, then exactly one :class:`ModelReply`; closing it closes the connection."""
        ...
