"""A small dialect of its own, a provider that speaks it, and the scripted server that it speaks to."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from agentflow_http.dialect import Fault, Faulted
from agentflow_http.faults import kind_of_status
from agentflow_http.provider import HttpProvider
from agentflow_http.settings import HttpSettings
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.contracts.provider import Message, ModelInfo, ModelReply, ModelRequest, Prices, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY = "sk-test-0123456789abcdef"


class ToyDecoder:
    """Events `say` bring text, `end` ends the answer, `fail` is the vendor's error."""

    def __init__(self) -> None:
        self.done = False
        self._pieces: list[str] = []

    def feed(self, name: bytes, data: bytes) -> str:
        value = msgspec.json.decode(data)
        if name == b"fail":
            raise Faulted(Fault("unavailable", str(value), type="broken"))
        if name == b"end":
            self.done = True
        if name != b"say":
            return ""
        self._pieces.append(value)
        return str(value)

    def reply(self) -> ModelReply:
        return ModelReply(Message("assistant", "".join(self._pieces)), usage=Usage(10, 2), model="toy-1")


class ToyDialect:
    vendor = "Toy"
    path = "/ask"
    models = (ModelInfo("toy-1", aliases=("toy",), prices=Prices(1.0, 5.0)),)

    def headers(self, key: str) -> Mapping[str, str]:
        return {"x-key": key}

    def encode(self, request: ModelRequest, model: str) -> dict[str, Any]:
        return {"model": model, "turns": [[message.role, message.text] for message in request.messages]}

    def decoder(self, request: ModelRequest) -> ToyDecoder:
        return ToyDecoder()

    def decode(self, request: ModelRequest, body: bytes) -> ModelReply:
        return ModelReply(Message("assistant", msgspec.json.decode(body)["text"]), usage=Usage(1, 1))

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return Fault(kind_of_status(status), body.decode("utf-8", "replace"))


@pytest.fixture
def make_provider(monkeypatch: pytest.MonkeyPatch) -> Callable[..., HttpProvider]:
    """Makes a provider for the toy protocol; the key is in `TOY_KEY`."""
    monkeypatch.setenv("TOY_KEY", KEY)

    def make(url: str, *, clock: Any = None, make_wire: Any = None, **settings: Any) -> HttpProvider:
        given = {"api_key_env": "TOY_KEY", "model": "toy", **settings}
        context = PluginContext("desk", clock=clock or SystemClock(), random=random.Random(0))
        return HttpProvider(ToyDialect(), HttpSettings(base_url=url, **given), context, make_wire)

    return make


@pytest.fixture
def ask() -> ModelRequest:
    return ModelRequest([Message("user", "hello")], key="k-1")
