"""How a run ended, seen from outside; and how user code steers the engine."""

from __future__ import annotations

from agentflow_kernel.errors.base import PUBLIC, AgentFlowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class RunError(AgentFlowError):
    """How a run ended, seen by those who wait for its result."""

    code = "AF-RUN"

    def __init__(self, run_id: str, message: str) -> None:
        super().__init__(message)
        self.run_id = run_id


class RunFailed(RunError):
    """The run ended with an error; ``code`` is that of the cause and ``path`` the action that failed."""

    code = "AF-RUN-FAILED"

    def __init__(self, run_id: str, code: str, message: str, path: str = "") -> None:
        super().__init__(run_id, f"Run {run_id} failed{' at ' + path if path else ''}: {message} [{code}]")
        self.code, self.reason, self.path = code, message, path


class RunCancelled(RunError):
    """The run was ended on request; ``abandoned`` names threads that did not stop in time."""

    code = "AF-RUN-CANCELLED"

    def __init__(self, run_id: str, abandoned: Sequence[str] = ()) -> None:
        tail = f" Threads left behind: {', '.join(abandoned)}." if abandoned else ""
        super().__init__(run_id, f"Run {run_id} was cancelled.{tail}")
        self.abandoned = tuple(abandoned)


class RunSuspended(RunError):
    """The run stopped without an end; it goes on with ``resume`` where it is durable."""

    code = "AF-RUN-SUSPENDED"

    def __init__(self, run_id: str, status: str, reason: str) -> None:
        super().__init__(run_id, f"Run {run_id} is {status}: {reason}")
        self.status, self.reason = status, reason


class ControlFlow(Exception):
    """Root of the exceptions that steer a run; never retried, never an observation by accident."""

    __module__ = PUBLIC


class AskModelAgain(ControlFlow):
    """Raised by a tool: the call was wrong; the model sees the text and may call again."""

    __module__ = PUBLIC


class ToolFailed(ControlFlow):
    """Raised by a tool: it ended for good; the model sees the text as an error result."""

    __module__ = PUBLIC


class StopFlow(ControlFlow):
    """Raised by a node: end the flow here; ``output`` is the flow's output."""

    __module__ = PUBLIC

    def __init__(self, output: object = None) -> None:
        super().__init__("stop")
        self.output = output
