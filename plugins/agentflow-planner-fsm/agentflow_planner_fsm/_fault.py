"""A fault: what stops a block of content, and becomes an error event of its session."""

from __future__ import annotations

from agentflow_kernel.errors import ExpressionFailed

EXECUTION = "error.execution"
COMMUNICATION = "error.communication"


class ContentFailed(Exception):
    """Content could not be carried out; ``name`` is that of the event that says so, ``send_id`` of the send it was."""

    def __init__(self, message: str, name: str = EXECUTION, send_id: str | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.send_id = send_id


FAULTS = (ContentFailed, ExpressionFailed)
"""What content may raise."""
