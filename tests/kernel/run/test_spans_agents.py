"""Agents, models and tools are described as the published convention for generative AI asks."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.trace import SpanKind, StatusCode
from planner_kit import make_agent
from span_kit import Listening

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.agent import ModelSettings, ToolStep
from agentflow_kernel.contracts.provider import Message, ModelReply, Prices, Usage
from agentflow_kernel.errors import PeerUnavailable, Refused, RunFailed, ToolFailed
from agentflow_kernel.run import genai
from agentflow_kernel.testing import FunctionToolset, InProcessJournal

pytestmark = pytest.mark.anyio

SECRET = "the secret question"
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Listening:
    """Somebody who wants spans and metrics."""
    return Listening(monkeypatch)


class Vendor:
    """Gives the provider of an agent a name and its answers a model and a usage."""

    provider_name = "acme"

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)

    async def complete(self, request: Any) -> Any:
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def aclose(self) -> None:
        """Nothing is open."""


def agent_of(provider: Any, toolset: FunctionToolset | None = None, **options: Any) -> Any:
    """An agent that asks this provider."""
    agent = make_agent([], toolset, **options)
    agent.provider = provider
    return agent


def kit(**functions: Any) -> FunctionToolset:
    """A toolset of pure tools."""
    toolset = FunctionToolset()
    for name, function in functions.items():
        toolset.add(name, function)
    return toolset


async def echo(arguments: Any) -> Any:
    return {"echo": arguments}


async def run(target: Any, value: object = SECRET) -> Any:
    """The output of a target in a kernel of its own."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        return await kernel.run(target, value)


class Again:
    """Repeats a call and tells so, as a policy of the kernel does."""

    def __init__(self, kernel: Kernel, times: int) -> None:
        self.emit = kernel._wiring._tell_all
        self.times = times

    def wrap(self, call: Any) -> Any:
        async def again(request: Any) -> Any:
            while True:
                try:
                    return await call(request)
                except PeerUnavailable as error:
                    if request.attempt > self.times:
                        raise
                    fields = {"kind": request.kind, "name": request.name, "run_id": request.run_id, "code": error.code}
                    self.emit("retry.scheduled", {**fields, "attempt": request.attempt, "wait_s": 0.5})
                    request.attempt += 1

        return again


@pytest.mark.keeps_memory("has every span of one life")
async def test_an_agent_its_calls_and_its_tools_are_one_tree(listening) -> None:
    """In the order in which they were."""
    agent = make_agent([[("kit.read", {"path": "a"})], "done"], kit(read=echo), model=ModelSettings("large"))
    await run(Flow("f").step(agent, name="assess"))
    below = ["chat large", "execute_tool kit.read", "chat large"]
    assert listening.tree() == [("run f", [("node assess", [("invoke_agent helper", below)])])]


async def test_a_model_call_says_what_was_asked_and_what_it_took(listening) -> None:
    """Never what was said."""
    usage = Usage(100, 20, cached_tokens=40, cost_usd=0.25, cache_write_tokens=3)
    reply = ModelReply(
        Message("assistant", "a secret answer"), usage=usage, model="large-2026", stop_reason="max_tokens"
    )
    settings = ModelSettings("large", max_tokens=500, temperature=0.5)
    await run(agent_of(Vendor(reply), model=settings))
    span = listening.one("chat large")
    assert span.kind is SpanKind.CLIENT
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "acme",
        "gen_ai.agent.name": "helper",
        "gen_ai.request.model": "large",
        "gen_ai.request.max_tokens": 500,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.model": "large-2026",
        "gen_ai.response.finish_reasons": ("length",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_creation.input_tokens": 3,
        "agentflow.cost_usd": 0.25,
        "agentflow.path": "helper/model1",
    }
    assert "secret" not in listening.text()


async def test_an_agent_span_has_its_name_and_model(listening) -> None:
    """It is work of this process: its kind is internal."""
    await run(agent_of(Vendor(ModelReply(Message("assistant", "x"))), model=ModelSettings("large")))
    span = listening.one("invoke_agent helper")
    assert span.kind is SpanKind.INTERNAL
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "acme",
        "gen_ai.agent.name": "helper",
        "gen_ai.request.model": "large",
        "agentflow.path": "helper",
    }


@pytest.mark.keeps_memory("has every span of one life")
async def test_a_tool_call_has_the_id_that_the_model_gave_it(listening) -> None:
    """Two calls side by side keep their own, equal ones too."""
    calls = [("kit.read", {"path": "a"}), ("kit.read", {"path": "b"}), ("kit.read", {"path": "a"})]
    await run(make_agent([calls, "done"], kit(read=echo)))
    spans = listening.named("execute_tool kit.read")
    assert sorted(span.attributes["gen_ai.tool.call.id"] for span in spans) == ["call-1", "call-2", "call-3"]
    ids = {span.attributes["gen_ai.tool.call.id"]: span.attributes["agentflow.path"] for span in spans}
    assert ids["call-2"] == "helper/tool1-1"
    attributes = dict(spans[0].attributes)
    del attributes["gen_ai.tool.call.id"], attributes["agentflow.path"]
    assert attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "kit.read",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": "read",
    }


@pytest.mark.keeps_memory("has every span of one life")
async def test_the_model_and_the_tool_run_below_their_spans(listening) -> None:
    """What they open themselves is found there, also where tools run side by side."""

    async def opens(arguments: Any) -> Any:
        with listening.tracer.start_as_current_span(f"inner {arguments['n']}"):
            await anyio.lowlevel.checkpoint()
        return 1

    class Provider(Vendor):
        async def complete(self, request: Any) -> Any:
            assert trace.get_current_span().attributes["gen_ai.operation.name"] == "chat"
            return await super().complete(request)

    scripted = make_agent([[("kit.opens", {"n": 0}), ("kit.opens", {"n": 1})], "done"], kit(opens=opens))
    await run(scripted)
    inner = [branch for branch in listening.tree()[0][1][0][1][0][1] if branch[0] == "execute_tool kit.opens"]
    assert sorted(inner) == [("execute_tool kit.opens", ["inner 0"]), ("execute_tool kit.opens", ["inner 1"])]
    await run(agent_of(Provider(ModelReply(Message("assistant", "x")))))


async def test_a_tool_that_fails_is_an_error_of_its_span_only(listening) -> None:
    """The model is told and goes on."""

    async def broken(arguments: Any) -> Any:
        raise ToolFailed("no such file")

    await run(make_agent([[("kit.broken", {})], "done"], kit(broken=broken)))
    span = listening.one("execute_tool kit.broken")
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "agentflow_kernel.errors.ToolFailed"
    assert listening.one("run helper").status.status_code is StatusCode.UNSET


async def test_a_model_that_fails_is_an_error_all_the_way_up(listening) -> None:
    """Each span with the code that it saw."""
    with pytest.raises(RunFailed):
        await run(agent_of(Vendor(Refused("no"))))
    codes = [listening.one(name).attributes["error.type"] for name in ("chat", "invoke_agent helper", "run helper")]
    assert codes == [Refused.code, "AF-TEST-MODEL", "AF-TEST-MODEL"]


async def test_retries_are_events_of_one_span(listening) -> None:
    """It covers the whole call, as the convention asks; each repeated attempt is one event."""
    down = PeerUnavailable("down")
    async with Kernel(journal=InProcessJournal()) as kernel:
        provider = Vendor(down, down, ModelReply(Message("assistant", "x")))
        await kernel.run(agent_of(provider, policies=[Again(kernel, 3)]), SECRET)
    span = listening.one("chat")
    assert [event.name for event in span.events] == ["retry.scheduled"] * 2
    first = dict(span.events[0].attributes)
    assert first == {"agentflow.code": "AF-PEER-UNAVAILABLE", "agentflow.attempt": 1, "agentflow.wait_s": 0.5}
    assert span.attributes["agentflow.attempts"] == 3
    assert span.status.status_code is StatusCode.UNSET


async def test_retries_of_a_node_are_events_of_its_span(listening) -> None:
    """It is the call that the policy stands round."""
    errors = [PeerUnavailable("down")]

    async def peer(value: object) -> object:
        if errors:
            raise errors.pop()
        return value

    async with Kernel(journal=InProcessJournal()) as kernel:
        await kernel.run(Flow("f").step(peer, policies=[Again(kernel, 1)]), 1)
    assert [event.name for event in listening.one("node peer").events] == ["retry.scheduled"]


async def test_a_tool_step_is_a_tool_call_below_its_node(listening) -> None:
    """No agent is needed."""
    await run(Flow("f").step(ToolStep("kit.read", kit(read=echo), "read"), name="first"), {"path": "a"})
    assert listening.tree() == [("run f", [("node first", ["execute_tool kit.read"])])]


async def test_costs_are_reckoned_from_the_prices_and_summed_on_the_run(listening) -> None:
    """In US dollars; where no price is known there is none."""
    turns = [[("kit.read", {})], "done"]
    prices = Prices(2_000_000, 3_000_000)
    await run(make_agent(turns, kit(read=echo), model=ModelSettings("m", prices=prices)))
    assert [span.attributes["agentflow.cost_usd"] for span in listening.named("chat m")] == [5.0, 5.0]
    assert listening.one("run helper").attributes["agentflow.cost_usd"] == 10.0
    listening.exporter.clear()
    await run(make_agent(turns, kit(read=echo)))
    assert not any("agentflow.cost_usd" in span.attributes for span in listening.spans)


async def test_no_text_is_on_a_span_by_default(listening) -> None:
    """Neither questions nor answers nor arguments nor results."""
    await run(make_agent([[("kit.read", {"path": "secret path"})], "secret answer"], kit(read=echo)))
    assert "secret" not in listening.text()


@pytest.mark.parametrize("setting", ["true", "SPAN_ONLY", "span_and_event"])
async def test_texts_are_on_spans_where_they_are_asked_for(listening, monkeypatch, setting) -> None:
    """By the variable that other instrumentations read."""
    monkeypatch.setenv(CAPTURE, setting)
    await run(make_agent([[("kit.read", {"path": "a"})], "answer"], kit(read=echo)))
    first, second = listening.named("chat")
    question = {"role": "user", "parts": [{"type": "text", "content": SECRET}]}
    call = {"type": "tool_call", "id": "call-1", "name": "kit.read", "arguments": {"path": "a"}}
    assert json.loads(first.attributes["gen_ai.input.messages"]) == [question]
    turn = {"role": "assistant", "parts": [call], "finish_reason": "tool_call"}
    assert json.loads(first.attributes["gen_ai.output.messages"]) == [turn]
    told = json.loads(second.attributes["gen_ai.input.messages"])[-1]
    assert (told["role"], told["parts"][0]["type"]) == ("tool", "tool_call_response")
    tool = listening.one("execute_tool kit.read")
    assert json.loads(tool.attributes["gen_ai.tool.call.arguments"]) == {"path": "a"}
    assert json.loads(tool.attributes["gen_ai.tool.call.result"]) == {"echo": {"path": "a"}}


@pytest.mark.parametrize("setting", ["", "false", "NO_CONTENT", "EVENT_ONLY"])
def test_other_settings_keep_texts_out(monkeypatch, setting) -> None:
    """This instrumentation writes no events with texts."""
    monkeypatch.setenv(CAPTURE, setting)
    assert not genai.captures_content()


async def test_every_name_is_in_the_published_registry(listening, monkeypatch) -> None:
    """Attributes, operations and metrics; names of our own begin with ``agentflow.``."""
    monkeypatch.setenv(CAPTURE, "true")
    usage = Usage(1, 1, cached_tokens=1, cost_usd=0.1, cache_write_tokens=1)
    settings = ModelSettings("m", max_tokens=1, temperature=1.0)
    reply = ModelReply(Message("assistant", "x"), usage=usage, model="m2")
    await run(agent_of(Vendor(reply), model=settings, output_schema={"type": "object"}))
    await run(make_agent([[("kit.read", {})], "done"], kit(read=echo)))
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    used = {key for span in listening.spans for key in span.attributes}
    mine = {value for name, value in vars(genai).items() if name.isupper() and str(value).startswith("gen_ai.")}
    assert {key for key in used | mine if key.startswith("gen_ai.")} <= known
    assert {key for key in used if not key.startswith(("gen_ai.", "agentflow."))} == set()
    assert len({key for key in used if key.startswith("gen_ai.")}) > 15
    operations = {operation.value for operation in gen_ai_attributes.GenAiOperationNameValues}
    assert {span.attributes.get("gen_ai.operation.name", "chat") for span in listening.spans} <= operations
    metrics = {value for name, value in vars(gen_ai_metrics).items() if name.startswith("GEN_AI_")}
    found = listening.reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    names = {metric.name for metric in found if metric.name.startswith("gen_ai.")}
    assert names == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    assert names <= metrics


def test_a_provider_is_named_after_its_package() -> None:
    """Which for the project's own is the name in the registry; one may name itself."""
    made = type("OpenAI", (), {"__module__": "agentflow_openai._provider"})()
    assert genai.provider_name(made) == gen_ai_attributes.GenAiProviderNameValues.OPENAI.value
    assert genai.provider_name(Vendor()) == "acme"
    assert genai.provider_name(type("Local", (), {"__module__": "__main__"})()) == "_OTHER"
