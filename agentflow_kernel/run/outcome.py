"""An outcome: what the receiver of a tool's call says of one that a crash has left without a word."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.tool import ToolContext, ToolOutcome
from agentflow_kernel.telemetry import get_logger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_kernel.contracts.tool import Tool, Toolset
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.history import History
    from agentflow_kernel.run.runtime import Frame

CHECK_S = 30.0
"""How long a receiver may take to answer: a run must not hang where a person could decide."""


async def ask_receiver(
    history: History, found: tuple[Toolset, Tool], arguments: Mapping[str, JSON], context: ToolContext
) -> ToolOutcome:
    """Whether the call at ``context.path``, whose intent is on record, has happened.

    ``maybe`` where the toolset checks nothing, a person has decided that the call counts as failed, or its check fails,
    gives something else than an outcome or takes longer than :data:`CHECK_S`.
    """
    toolset, tool = found
    check = getattr(toolset, "check", None)
    if check is None or context.path in history.given_up:
        return ToolOutcome("maybe")
    import anyio  # lazy: 25 ms, and loaded already wherever there is a loop

    try:
        with anyio.fail_after(CHECK_S):
            said: object = await check(tool.name, arguments, context)
    except Exception as error:  # noqa: BLE001 -- whatever it is, nobody knows now what became of the call
        said = error
    if isinstance(said, ToolOutcome) and said.executed in ("yes", "no", "maybe"):
        return said
    log = get_logger("agentflow.run")
    log.warning("outcome.unknown", run_id=history.run_id, path=context.path, tool=tool.name, said=repr(said))
    return ToolOutcome("maybe")


async def ask_about(frame: Frame, node: BoundNode, path: str, value: object) -> ToolOutcome:
    """The same for a tool that is a step of a flow."""
    history, run = cast("History", frame.run.history), frame.run
    step: Any = node.step.target
    call = ToolContext(run.run_id, path, run.key_of(path))
    return await ask_receiver(history, (step.toolset, step.tool), cast("Mapping[str, JSON]", value), call)
