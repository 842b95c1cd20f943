"""Traces and metrics leave a process over OTLP and arrive at a collector: real exporters, a real socket."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

sys.path.insert(0, os.path.dirname(__file__))

from program import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PATIENCE_S = 60
PATIENT = f"import agentflow_cli.telemetry_setup as setup\nsetup.FLUSH_S = {PATIENCE_S}\n"
pytestmark = [pytest.mark.blocking, pytest.mark.timeout(PATIENCE_S + 30)]  # the tests wait for processes

PROGRAM = """
import asyncio
from agentflow_cli.telemetry_setup import exporting
from agentflow_kernel import Agent, Flow, Kernel
from agentflow_kernel.agent import ModelSettings
from agentflow_kernel.contracts.provider import Prices
from agentflow_kernel.testing import FunctionToolset, InProcessJournal, ScriptedProvider
from agentflow_planner_llm.tool_loop import ToolLoop

def split(text):
    return text.split()

async def measure(word):
    await asyncio.sleep(0)
    return len(word)

async def read(arguments):
    return {"lines": 3}

toolset = FunctionToolset()
toolset.add("read", read)
provider = ScriptedProvider([[("files.read", {"path": "a.txt"})], "three lines"])
settings = ModelSettings("large", max_tokens=100, prices=Prices(3.0, 15.0))
reader = Agent("reader", provider, ToolLoop(), tools={"files": toolset}, model=settings)
flow = Flow("report").step(split)
flow.step(measure, each={"$ref": "split.result"}, concurrency=2).step(reader, input="How many lines has a.txt?")

async def main():
    async with Kernel(journal=InProcessJournal()) as kernel:
        answer = await kernel.run(flow, "two words")
        print(answer["text"])

with exporting():
    asyncio.run(main())
"""

MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Policy
metadata: {name: patient}
spec: {plugin: retry, with: {attempts: 3, base_s: 0.001, max_s: 0.002}}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: ask}
spec:
  policies: [patient]
  nodes:
    ask: {uses: "./peer.py:ask", input: {}}
"""
PEER = """
from agentflow_kernel.errors import PeerUnavailable

tries = iter(range(9))

async def ask(value):
    if next(tries) < 2:
        raise PeerUnavailable("The peer is down.", executed="no")
    return "answered"
"""
COMMAND = """
import sys
from agentflow_cli import main

sys.exit(main())
"""


class Collector:
    """Takes what exporters send over HTTP, as an OpenTelemetry collector does, and keeps it."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.metrics: dict[str, Any] = {}
        self.services: set[str] = set()
        collector = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/x-protobuf"
                collector.take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def take(self, path: str, body: bytes) -> None:
        """Parse one request."""
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.services.add(attributes_of(resource.resource)["service.name"])
                for scope in resource.scope_spans:
                    self.spans += scope.spans
        elif path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    self.metrics.update({metric.name: metric for metric in scope.metrics})
        else:
            raise AssertionError(path)

    def one(self, name: str) -> Span:
        """The only span of this name."""
        (span,) = [span for span in self.spans if span.name == name]
        return span


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that listens on a port of this machine."""
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, args=[0.01])
    thread.start()
    yield collector
    collector.server.shutdown()
    thread.join()
    collector.server.server_close()


def attributes_of(thing: Any) -> dict[str, Any]:
    """Attributes as plain values."""
    found = {}
    for pair in thing.attributes:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        found[pair.key] = [item.string_value for item in value.values] if kind == "array_value" else value
    return found


def render(spans: Sequence[Span], show: Sequence[str] = ()) -> str:
    """The spans as a tree of lines: the name, some attributes, the status where it is an error, and events."""
    below: dict[bytes, list[Span]] = defaultdict(list)
    known = {span.span_id for span in spans}
    for span in spans:  # as they arrive, which is as they have ended: a clock may be put back
        below[span.parent_span_id if span.parent_span_id in known else b""].append(span)
    lines = []

    def walk(parent: bytes, depth: int) -> None:
        for span in below[parent]:
            told = attributes_of(span)
            words = [span.name, *(f"{key}={told[key]}" for key in show if key in told)]
            if span.status.code == Status.STATUS_CODE_ERROR:
                words.append("ERROR")
            lines.append("  " * depth + " ".join(words))
            lines.extend("  " * (depth + 1) + f"* {event.name}" for event in span.events)
            walk(span.span_id, depth + 1)

    walk(b"", 0)
    return "\n".join(lines)


def run(source: str, *words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; a machine that is busy may take its time to send what is left."""
    env = {name: value for name, value in environment().items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", PATIENT + source, *words],
        env={**env, "OTEL_EXPORTER_OTLP_TIMEOUT": str(PATIENCE_S), **variables},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S + 20,
        check=False,
    )


def test_a_run_arrives_at_a_collector_as_one_trace(collector, tmp_path) -> None:
    """Nodes, items, the agent, its calls of the model and of the tool, each in its place."""
    done = run(PROGRAM, cwd=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address)
    assert (done.stdout, done.stderr, done.returncode) == ("three lines\n", "", 0)
    text = render(collector.spans, ["agentflow.path", "gen_ai.usage.input_tokens", "agentflow.cost_usd"])
    print(text)
    items = sorted(line for line in text.splitlines() if "item" in line)
    assert items == ["    item measure agentflow.path=measure[0]", "    item measure agentflow.path=measure[1]"]
    assert [line for line in text.splitlines() if line not in items] == [
        "run report agentflow.cost_usd=3.6e-05",
        "  node split agentflow.path=split",
        "  node measure agentflow.path=measure",
        "  node reader agentflow.path=reader",
        "    invoke_agent reader agentflow.path=reader",
        "      chat large agentflow.path=reader/model-1 gen_ai.usage.input_tokens=1 agentflow.cost_usd=1.8e-05",
        "      execute_tool files.read agentflow.path=reader/tool-1-0",
        "      chat large agentflow.path=reader/model-2 gen_ai.usage.input_tokens=1 agentflow.cost_usd=1.8e-05",
    ]
    assert len({span.trace_id for span in collector.spans}) == 1
    assert collector.services == {"agentflow"}
    chat = next(span for span in collector.spans if span.name == "chat large")
    assert chat.kind == Span.SPAN_KIND_CLIENT
    assert attributes_of(chat)["gen_ai.response.finish_reasons"] == ["tool_call"]
    assert attributes_of(collector.one("execute_tool files.read"))["gen_ai.tool.call.id"] == "call-1"
    assert "How many lines" not in str(collector.spans)


def test_metrics_arrive_too(collector, tmp_path) -> None:
    """Those of the process at its end."""
    run(PROGRAM, cwd=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address)
    assert set(collector.metrics) == {
        "agentflow.runs",
        "agentflow.runs.active",
        "agentflow.run.duration",
        "agentflow.node.duration",
        "agentflow.tool.calls",
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
    }
    (runs,) = collector.metrics["agentflow.runs"].sum.data_points
    assert runs.as_int == 1
    assert attributes_of(runs) == {"agentflow.flow.name": "report", "agentflow.run.status": "completed"}
    (duration,) = collector.metrics["gen_ai.client.operation.duration"].histogram.data_points
    assert (duration.count, collector.metrics["gen_ai.client.operation.duration"].unit) == (2, "s")
    nodes = collector.metrics["agentflow.node.duration"].histogram.data_points
    assert {attributes_of(point)["agentflow.node.name"]: point.count for point in nodes} == {
        "split": 1,
        "measure": 1,
        "reader": 1,
    }


def test_a_command_sends_its_runs_with_their_retries(collector, tmp_path) -> None:
    """The variables of OpenTelemetry are all that it takes; a retry is an event of its node."""
    (tmp_path / "flow.yaml").write_text(MANIFEST)
    (tmp_path / "peer.py").write_text(PEER)
    words = ["run", "flow.yaml", "--state", str(tmp_path / "state"), "--trust-code", "--no-progress"]
    done = run(
        COMMAND,
        *words,
        cwd=tmp_path,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.address,
        OTEL_SERVICE_NAME="orders",
    )
    assert (done.returncode, done.stdout) == (0, "answered\n"), done.stderr
    lines = ["run ask", "  node ask agentflow.node.kind=call", "    * retry.scheduled", "    * retry.scheduled"]
    assert render(collector.spans, ["agentflow.node.kind"]).splitlines() == lines, done.stderr
    event = collector.one("node ask").events[0]
    told = attributes_of(event)
    assert (told["agentflow.code"], told["agentflow.attempt"]) == ("AF-PEER-UNAVAILABLE", 1)
    (retries,) = collector.metrics["agentflow.retries"].sum.data_points
    assert retries.as_int == 2
    assert collector.services == {"orders"}


def test_without_the_variables_nothing_is_loaded_or_sent(collector, tmp_path) -> None:
    """The same program, and OpenTelemetry stays on the disk."""
    look = "\nimport sys\nprint([name for name in sys.modules if name.startswith('opentelemetry')])"
    done = run(PROGRAM + look, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("three lines\n[]\n", 0)
    assert collector.spans == []


@pytest.mark.parametrize(
    ("variables", "loaded"),
    [
        ({"OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}, False),
        ({"OTEL_METRICS_EXPORTER": "none"}, True),
    ],
    ids=["disabled", "none", "traces only"],
)
def test_what_is_turned_off_is_not_sent(collector, tmp_path, variables, loaded) -> None:
    """Although there is an address to send it to."""
    done = run(PROGRAM, cwd=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address, **variables)
    assert (done.stdout, done.stderr) == ("three lines\n", "")
    assert (bool(collector.spans), collector.metrics) == (loaded, {})


def test_missing_packages_are_named_and_the_run_goes_on(tmp_path) -> None:
    """With the line that installs them."""
    hide = "import sys\nsys.modules['opentelemetry.exporter.otlp.proto.http.trace_exporter'] = None\n"
    done = run(hide + PROGRAM, cwd=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert done.stdout == "three lines\n"
    assert "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http" in done.stderr


def test_an_unknown_exporter_is_named_with_those_that_are_known(tmp_path) -> None:
    done = run(PROGRAM, cwd=tmp_path, OTEL_TRACES_EXPORTER="zipkin", OTEL_METRICS_EXPORTER="none")
    expected = "OTEL_TRACES_EXPORTER=zipkin is not known here; use one of: otlp, console, none.\n"
    assert (done.stdout, done.stderr) == ("three lines\n", expected)


def test_the_console_exporter_leaves_standard_output_to_the_answer(tmp_path) -> None:
    done = run(PROGRAM, cwd=tmp_path, OTEL_TRACES_EXPORTER="console", OTEL_METRICS_EXPORTER="none")
    assert done.stdout == "three lines\n"
    assert '"name": "run report"' in done.stderr
