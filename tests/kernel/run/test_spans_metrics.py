"""Runs, nodes, models, tools and retries are counted and timed, with labels that stay few."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest
from opentelemetry import trace
from planner_kit import make_agent
from span_kit import Listening

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.agent import ModelSettings
from agentflow_kernel.errors import PeerUnavailable, RunFailed, RunSuspended
from agentflow_kernel.run.metrics import SECONDS, TOKENS, instruments_of
from agentflow_kernel.run.observing import note
from agentflow_kernel.testing import FunctionToolset, InProcessJournal

pytestmark = pytest.mark.anyio


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Listening:
    """Somebody who wants spans and metrics."""
    return Listening(monkeypatch)


async def same(value: object) -> object:
    return value


async def broken(value: object) -> object:
    raise ValueError(value)


async def outcome(kernel: Kernel, flow: Flow) -> None:
    """Run to whatever end."""
    with suppress(RunFailed, RunSuspended):
        await kernel.run(flow, 1)


async def test_runs_are_counted_and_timed_by_status(listening) -> None:
    """Those that stop without an end too."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        for step in (same, same, broken):
            await outcome(kernel, Flow("f").step(step))
    counts = {point.attributes["agentflow.run.status"]: point.value for point in listening.points("agentflow.runs")}
    assert counts == {"completed": 2, "failed": 1}
    timed = {point.attributes["agentflow.run.status"]: point for point in listening.points("agentflow.run.duration")}
    assert {status: point.count for status, point in timed.items()} == {"completed": 2, "failed": 1}
    assert timed["completed"].explicit_bounds == SECONDS
    assert 0 < timed["completed"].sum < 10


async def test_active_runs_go_up_and_down(listening) -> None:
    """Down again however the run ended."""
    begun = anyio.Event()

    async def waits(value: object) -> object:
        begun.set()
        await anyio.sleep_forever()

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(waits), 1)
        await begun.wait()
        assert [point.value for point in listening.points("agentflow.runs.active")] == [1]
        await handle.cancel()
    assert [point.value for point in listening.points("agentflow.runs.active")] == [0]
    assert listening.labels("agentflow.runs") == [{"agentflow.flow.name": "f", "agentflow.run.status": "cancelled"}]


@pytest.mark.keeps_memory("counts the visits of one life")
async def test_a_node_is_timed_once_a_visit(listening) -> None:
    """A batch is one visit; the label says how it ended."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        await kernel.run(Flow("f").step(same, each={"$ref": "input"}), [1, 2, 3])
        await outcome(kernel, Flow("g").step(broken))
    points = listening.points("agentflow.node.duration")
    assert sorted((point.attributes["agentflow.node.name"], point.count) for point in points) == [
        ("broken", 1),
        ("same", 1),
    ]
    assert sorted(point.attributes.get("error.type", "") for point in points) == ["", "ValueError"]


async def test_models_and_tools_are_measured_by_convention(listening) -> None:
    """Time and tokens of each model call; a count of tool calls."""

    async def echo(arguments: Any) -> Any:
        return arguments

    toolset = FunctionToolset()
    toolset.add("read", echo)
    agent = make_agent([[("kit.read", {})], "done"], toolset, model=ModelSettings("large"))
    async with Kernel(journal=InProcessJournal()) as kernel:
        await kernel.run(agent, "question")
    labels = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "planner_kit",
        "gen_ai.request.model": "large",
    }
    (duration,) = listening.points("gen_ai.client.operation.duration")
    assert (dict(duration.attributes), duration.count, duration.explicit_bounds) == (labels, 2, SECONDS)
    tokens = {point.attributes["gen_ai.token.type"]: point for point in listening.points("gen_ai.client.token.usage")}
    assert {kind: (point.count, point.sum) for kind, point in tokens.items()} == {"input": (2, 2), "output": (2, 2)}
    assert tokens["input"].explicit_bounds == TOKENS
    assert dict(tokens["input"].attributes) == {**labels, "gen_ai.token.type": "input"}
    (tools,) = listening.points("agentflow.tool.calls")
    assert (dict(tools.attributes), tools.value) == ({"gen_ai.tool.name": "kit.read"}, 1)


async def test_a_failed_model_call_is_timed_with_its_error(listening) -> None:
    """No tokens are invented for it."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        await outcome(kernel, make_agent([PeerUnavailable("down")]))
    assert [label["error.type"] for label in listening.labels("gen_ai.client.operation.duration")] == [
        "AF-PEER-UNAVAILABLE"
    ]
    assert listening.points("gen_ai.client.token.usage") == []


async def test_retries_are_counted_by_what_was_called(listening) -> None:
    """Other things that policies tell are not."""
    async with Kernel() as kernel:
        emit = kernel._wiring._tell_all
        fields = {"kind": "model", "name": "helper", "run_id": "r", "path": "p", "code": "AF-X", "wait_s": 1.0}
        emit("retry.scheduled", fields)
        emit("retry.scheduled", {**fields, "code": None, "error": "ValueError"})
        emit("retry.exhausted", fields)
    points = {point.attributes["error.type"]: point for point in listening.points("agentflow.retries")}
    assert {kind: point.value for kind, point in points.items()} == {"AF-X": 1, "ValueError": 1}
    assert points["AF-X"].attributes["agentflow.action.name"] == "helper"


async def test_no_label_holds_an_id_or_a_path(listening) -> None:
    """A metric with a run's id in it has as many series as there are runs."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(same, each={"$ref": "input"}), [1])
        await handle.result()
    assert handle.run_id not in str(listening.reader.get_metrics_data())


async def test_instruments_are_made_once(listening, monkeypatch) -> None:
    """However many runs there are."""
    made: list[str] = []
    meter = listening.meters.get_meter("agentflow")
    create = type(meter).create_counter

    def counting(self: Any, name: str, *rest: Any) -> Any:
        made.append(name)
        return create(self, name, *rest)

    monkeypatch.setattr(type(meter), "create_counter", counting)
    async with Kernel(journal=InProcessJournal()) as kernel:
        for _ in range(3):
            await kernel.run(Flow("f").step(same), 1)
    assert made == ["agentflow.runs", "agentflow.tool.calls", "agentflow.retries"]
    assert instruments_of(meter) is instruments_of(meter)


async def test_metrics_alone_open_no_spans(listening, monkeypatch) -> None:
    """An application may want one without the other."""
    monkeypatch.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(same), 1)
        await handle.result()
        records = await kernel.history(handle.run_id)
    assert listening.spans == []
    assert "traceparent" not in records[0].payload
    assert [point.value for point in listening.points("agentflow.runs")] == [1]


async def test_spans_alone_need_no_meter(listening, monkeypatch) -> None:
    """The other way round."""
    from opentelemetry import metrics

    monkeypatch.setattr(metrics, "get_meter_provider", metrics.NoOpMeterProvider)
    async with Kernel(journal=InProcessJournal()) as kernel:
        await kernel.run(make_agent(["done"]), 1)
    assert len(listening.spans) == 4
    assert listening.points("agentflow.runs") == []


def test_what_is_told_outside_a_run_is_on_no_span(listening) -> None:
    """There is none to put it on."""
    note(listening.tracer, None, "retry.scheduled", {"code": "AF-X"})
    assert listening.spans == []
