"""A provider over HTTP: a dialect, a wire and a key made into the kernel's contract."""

from __future__ import annotations

from contextlib import aclosing
from math import isfinite
from typing import TYPE_CHECKING

from agentflow_http.dialect import Faulted
from agentflow_http.peer import Peer
from agentflow_http.secrets import Secrets
from agentflow_kernel.contracts.provider import ModelReply, Usage
from agentflow_kernel.errors import OutputInvalid, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from agentflow_http.dialect import Dialect
    from agentflow_http.settings import HttpSettings
    from agentflow_http.wire import Wire
    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.provider import ModelInfo, ModelRequest

    MakeWire = Callable[[HttpSettings, Peer, Clock], Wire]


def make_http_wire(settings: HttpSettings, peer: Peer, clock: Clock) -> Wire:
    """The raw wire."""
    from agentflow_http.wire import HttpWire  # lazy: httpx2, 60 ms, at the first call

    return HttpWire(settings, peer, clock)


class HttpProvider:
    """Fills :class:`Provider` and :class:`StreamsTokens`; any number of calls at once, on any number of event loops.

    ``make_wire`` makes another way to the service than the raw one; it is called at the first call, in a thread, and
    may import what it needs.
    """

    def __init__(
        self,
        dialect: Dialect,
        settings: HttpSettings,
        context: PluginContext,
        make_wire: MakeWire | None = None,
    ) -> None:
        self._dialect = dialect
        self._settings = settings
        self._clock = context.clock
        self._secrets = Secrets(settings, dialect.vendor, context.name)
        self._peer = Peer(dialect, context.name, self._secrets, context.clock)
        self._make_wire: MakeWire = make_wire or make_http_wire
        self._wire: Wire | None = None
        self._closed = False
        self._known: dict[str, ModelInfo] = {}
        for info in dialect.models:
            for name in (info.name, *info.aliases):
                self._known[name] = info

    @property
    def provider_name(self) -> str:
        """The vendor, as traces and metrics name it."""
        return self._dialect.vendor.lower()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer one request; over the stream too, so that there is one path and a long answer is no silence."""
        async with aclosing(self.stream(request)) as pieces:
            async for piece in pieces:
                if isinstance(piece, ModelReply):
                    return piece
        raise self._peer.cut_off()

    def stream(self, request: ModelRequest) -> AsyncGenerator[str | ModelReply]:
        """The text as it is written, then the reply.

        With an output schema the text comes in one piece, when it is known to fit: what may have to be mended is
        not shown first.
        """
        if request.output_schema is None or not self._settings.repair_turns:
            return self._turn(request)
        return self._checked(request)

    async def aclose(self) -> None:
        """Close the connections; calls under way end with :class:`PeerUnavailable`."""
        self._closed = True
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.aclose()

    async def _turn(self, request: ModelRequest) -> AsyncGenerator[str | ModelReply]:
        """One request, one answer."""
        wire = await self._open_wire()
        import msgspec  # lazy: with the wire, at the first call

        from agentflow_http.wire import WHOLE, WireCall  # lazy: as above

        dialect = self._dialect
        if request.temperature is not None and not isfinite(request.temperature):
            raise UsageError(f"The temperature for {self._peer.name} must be a number, not {request.temperature}.")
        info, model = self._find_model(request)
        call = WireCall(dialect.path, self._headers(request), dialect.encode(request, model), model)
        decoder = dialect.decoder(request)
        feed = decoder.feed
        whole: ModelReply | None = None
        error: Exception | None = None
        exchange = wire.exchange(call)
        try:
            async for events in exchange:
                for name, data in events:
                    if name is WHOLE:
                        whole = dialect.decode(request, data)
                    elif piece := feed(name, data):
                        yield piece
                call.answered = decoder.done
        except Faulted as faulted:
            error = self._peer.refuse_event(faulted.fault, model)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            error = self._peer.garbled(str(fault) if isinstance(fault, msgspec.MsgspecError) else "it is not UTF-8")
        finally:
            await exchange.aclose()
        if error is not None:
            events, data = (), b""  # the service may have repeated the key, and tools show the variables of a frame
            raise error
        if whole is not None:
            if whole.message.text:
                yield whole.message.text
            yield self._priced(whole, info)
        elif decoder.done:
            yield self._priced(decoder.reply(), info)
        else:
            raise self._peer.cut_off()

    async def _checked(self, request: ModelRequest) -> AsyncGenerator[str | ModelReply]:
        """One request whose answer must fit a schema, with one turn to mend it."""
        from agentflow_http.structured import add_usage, ask_again, find_faults  # lazy: msgspec, only with a schema

        reply = await self._whole(request)
        faults = find_faults(request, reply)
        if faults:
            second = await self._whole(ask_again(request, reply, faults))
            faults = find_faults(request, second)
            reply = ModelReply(
                second.message,
                stop_reason=second.stop_reason,
                usage=add_usage(reply.usage, second.usage),
                model=second.model,
            )
        if faults:
            problems = self._peer.scrub("; ".join(faults))
            raise OutputInvalid(
                f"{self._peer.name} gave an answer that does not fit the output schema, also when asked to mend it: "
                f"{problems}"
            )
        if reply.message.text:
            yield reply.message.text
        yield reply

    async def _whole(self, request: ModelRequest) -> ModelReply:
        async with aclosing(self._turn(request)) as pieces:
            async for piece in pieces:
                if isinstance(piece, ModelReply):
                    return piece
        raise self._peer.cut_off()

    def _find_model(self, request: ModelRequest) -> tuple[ModelInfo | None, str]:
        """The row of the model that is asked for, and the vendor's name for it."""
        name = request.model or self._settings.model
        if not name:
            raise UsageError(f"{self._peer.name} needs a model: name one in the agent, or in the setting 'model'.")
        info = self._known.get(name)
        return info, name if info is None else info.name

    def _headers(self, request: ModelRequest) -> dict[str, str]:
        """The headers with the key, never kept in a local variable: tools show those of the frames of an error."""
        return {
            **({"idempotency-key": request.key} if request.key else {}),
            **self._dialect.headers(self._secrets.read_key()),
            **self._secrets.read_headers(),
        }

    async def _open_wire(self) -> Wire:
        """The wire, made at the first call, in a thread: what it imports takes up to a second."""
        if self._closed:
            raise self._peer.closed("no")
        if self._wire is None:
            import anyio.to_thread  # lazy: 25 ms, at the first call

            made = await anyio.to_thread.run_sync(
                self._make_wire, self._settings, self._peer, self._clock, abandon_on_cancel=True
            )
            if self._closed:
                raise self._peer.closed("no")
            if self._wire is None:  # another call may have been faster
                self._wire = made
        return self._wire

    def _priced(self, reply: ModelReply, asked: ModelInfo | None) -> ModelReply:
        """The reply with what it cost: as the dialect says, else from the model that answered or was asked for."""
        info = self._known.get(reply.model) or asked
        usage = reply.usage
        told = usage.input_tokens or usage.output_tokens
        if usage.cost_usd is not None or info is None or info.prices is None or not told:
            return reply
        cost = info.prices.cost_of(usage)
        priced = Usage(usage.input_tokens, usage.output_tokens, usage.cached_tokens, cost, usage.cache_write_tokens)
        return ModelReply(reply.message, stop_reason=reply.stop_reason, usage=priced, model=reply.model)
