"""The instruments: what is counted and timed of all runs of a process; names and buckets of models by convention.

Source: OpenTelemetry semantic conventions for generative AI metrics (development status, 2026).
"""

from __future__ import annotations

from agentflow_kernel.run.spans import ERROR_TYPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from agentflow_kernel.contracts.provider import Usage
    from agentflow_kernel.run.spans import Attributes

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

FLOW_NAME = "agentflow.flow.name"
NODE_NAME = "agentflow.node.name"


class Instruments:
    """Made once for each meter. Labels are names from flows and codes of errors, never ids, paths or texts."""

    __slots__ = (
        "runs", "active", "run_duration", "node_duration", "model_duration", "tokens", "tools", "retries",
        "unservable",
    )  # fmt: skip

    def __init__(self, meter: Meter) -> None:
        self.runs = meter.create_counter("agentflow.runs", "{run}", "Runs that have stopped, by status.")
        self.active = meter.create_up_down_counter("agentflow.runs.active", "{run}", "Runs at work.")
        self.run_duration = meter.create_histogram(
            "agentflow.run.duration", "s", "How long a run was at work.", explicit_bucket_boundaries_advisory=SECONDS
        )
        self.node_duration = meter.create_histogram(
            "agentflow.node.duration", "s", "One visit of a node.", explicit_bucket_boundaries_advisory=SECONDS
        )
        self.model_duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "GenAI operation duration.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )
        self.tools = meter.create_counter("agentflow.tool.calls", "{call}", "Calls of tools.")
        self.retries = meter.create_counter("agentflow.retries", "{retry}", "Attempts that a policy has repeated.")
        self.unservable = meter.create_up_down_counter(
            "agentflow.runs.unservable", "{run}", "Runs without an owner whose flow this worker does not have."
        )

    def run_stopped(self, flow: str, status: str, seconds: float) -> None:
        """Count a run that has stopped."""
        labels = {FLOW_NAME: flow, "agentflow.run.status": status}
        self.runs.add(1, labels)
        self.run_duration.record(seconds, labels)

    def node_visited(self, flow: str, node: str, seconds: float, ended_as: str) -> None:
        """Time one visit."""
        self.node_duration.record(seconds, _with_error({FLOW_NAME: flow, NODE_NAME: node}, ended_as))

    def model_called(self, labels: Attributes, seconds: float, ended_as: str) -> None:
        """Time one call of a model with all its attempts."""
        self.model_duration.record(seconds, _with_error(labels, ended_as))

    def tokens_used(self, labels: Attributes, usage: Usage) -> None:
        """Count the tokens of one answer."""
        self.tokens.record(usage.input_tokens, {**labels, "gen_ai.token.type": "input"})
        self.tokens.record(usage.output_tokens, {**labels, "gen_ai.token.type": "output"})

    def tool_called(self, tool: str, ended_as: str) -> None:
        """Count one call of a tool."""
        self.tools.add(1, _with_error({"gen_ai.tool.name": tool}, ended_as))

    def retried(self, kind: str, name: str, ended_as: str) -> None:
        """Count one attempt that is made again, by what was called and how it had failed."""
        labels = {"agentflow.action.kind": kind, "agentflow.action.name": name}
        self.retries.add(1, _with_error(labels, ended_as))


def instruments_of(meter: Meter) -> Instruments:
    """The instruments of this meter, the same ones for every run."""
    global _latest  # noqa: PLW0603 -- one a process: whoever listens is decided once
    if _latest is None or _latest[0] is not meter:
        _latest = (meter, Instruments(meter))
    return _latest[1]


_latest: tuple[Meter, Instruments] | None = None


def _with_error(labels: Attributes, ended_as: str) -> Attributes:
    return {**labels, ERROR_TYPE: ended_as} if ended_as else labels
