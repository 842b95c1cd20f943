"""A wire through a vendor's SDK: the SDK sends the encoded request, and what it gets goes to the dialect's decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import httpx2
import msgspec

from agentflow_http.client import disarm, explain
from agentflow_http.wire import HttpWire
from agentflow_kernel.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

    from agentflow_http.peer import Peer
    from agentflow_http.settings import HttpSettings
    from agentflow_http.wire import WireCall
    from agentflow_kernel.contracts.clock import Clock


def import_sdk(name: str, distribution: str) -> ModuleType:
    """The SDK's module; :class:`UsageError` with the line that installs it where it is missing."""
    import importlib  # lazy: only who chooses an SDK

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name != name:
            raise
        raise UsageError(
            f"The setting 'transport: sdk' needs the package {name!r}. To add it: pip install '{distribution}[sdk]'"
        ) from None


class Answer(Protocol):
    """A stream of an SDK, of which only the answer below it is used: the dialect's decoder reads that."""

    @property
    def response(self) -> httpx2.Response:
        """The answer, its body not read yet."""
        ...


class Sdk(Protocol):
    """One vendor's SDK, as far as it differs from others. It speaks through httpx2, its retries are switched off."""

    errors: ModuleType
    """The module that has ``APIError``, ``APIStatusError`` and ``APIConnectionError``."""

    async def open(self, http: httpx2.AsyncClient, base_url: str, call: WireCall) -> Answer:
        """Send the request through this client, asking for a stream."""
        ...


class SdkWire(HttpWire):
    """A wire whose requests an SDK sends; connections, time-outs, closing and reading are those of the raw wire."""

    __slots__ = ("_sdk",)

    def __init__(self, settings: HttpSettings, peer: Peer, clock: Clock, sdk: Sdk) -> None:
        super().__init__(settings, peer, clock)
        self._sdk = sdk

    async def send(self, client: httpx2.AsyncClient, base_url: str, call: WireCall) -> httpx2.Response:
        """Let the SDK send it; its errors become those of the raw wire."""
        try:
            answer = await self._sdk.open(client, base_url, call)
        except self._sdk.errors.APIError as fault:
            raise self._explain(fault, call) from disarm(fault, self._peer)
        return answer.response

    def _explain(self, fault: Any, call: WireCall) -> Exception:
        errors = self._sdk.errors
        if isinstance(fault, errors.APIStatusError):
            body = fault.body
            said = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
            return self._peer.refuse_status(fault.status_code, fault.response.headers, said, call.model)
        if isinstance(fault, errors.APIConnectionError) and isinstance(fault.__cause__, httpx2.HTTPError):
            return explain(fault.__cause__, self._peer, self._settings)
        return self._peer.garbled(f"the SDK says {type(fault).__name__}: {fault}")
