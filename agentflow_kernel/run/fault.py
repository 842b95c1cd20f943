"""A fault: an error of user code or of a peer, as it is told to people, planners and the journal."""

from __future__ import annotations

from agentflow_kernel.errors import AgentFlowError, JournalError, NonDeterminism, RunCancelled

NODE_FAILED = "AF-NODE-FAILED"
"""The code of every error that is not the framework's."""

ENDS_RUN = (JournalError, NonDeterminism, RunCancelled)
"""Errors that end the run's executor: no planner hears of them, no batch skips or collects them."""


def code_of(error: BaseException) -> str:
    """The stable code of an error."""
    return error.code if isinstance(error, AgentFlowError) else NODE_FAILED


def text_of(error: BaseException) -> str:
    """What an error says, with its class where it is not the framework's; always text that can be encoded."""
    text = str(error) if isinstance(error, AgentFlowError) else f"{type(error).__name__}: {error}"
    return printable(text)


def printable(text: str) -> str:
    """The text with lone surrogates written out: they come from undecodable bytes, and JSON has no form for them."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
