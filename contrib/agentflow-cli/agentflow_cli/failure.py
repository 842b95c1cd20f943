"""A failure: what goes to standard error when a command cannot do its work, and the exit code it means."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

import click

from agentflow_cli.terminal import one_line, say, visible
from agentflow_kernel.errors import (
    AgentFlowError,
    ManifestErrors,
    NotAllowed,
    PluginError,
    RunFailed,
    UnknownRun,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow_kernel.errors import InputInvalid

FAILED: Final = 1
WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130

_CALLERS = (UsageError, PluginError, NotAllowed, UnknownRun, click.ClickException)
"""What the caller repairs: the call, the manifest, the installation."""


class InputUnusable(Exception):
    """What a source was to read cannot be used: the run's input has failed, not the call."""

    def __init__(self, cause: InputInvalid) -> None:
        super().__init__(str(cause))
        self.code = cause.code


def interrupts(error: BaseException) -> bool:
    """Whether the error, or one of its group, is an interrupt."""
    return any(isinstance(leaf, KeyboardInterrupt | click.Abort) for leaf in _leaves(error))


def report(error: BaseException, *, debug: bool) -> int:
    """Say on standard error what went wrong, one line for each finding, and return the exit code."""
    if debug:
        say(visible("".join(traceback.format_exception(error))).rstrip())
    code = WRONG_USAGE
    said: set[str] = set()
    for leaf in _leaves(error):
        for line in lines(leaf):
            if line not in said:
                say(line)
            said.add(line)
        if not isinstance(leaf, _CALLERS):
            code = FAILED
    return code


def lines(error: BaseException) -> Iterator[str]:
    """The lines `error[CODE]: message` of one error."""
    if isinstance(error, ManifestErrors):
        for finding in error.findings:
            yield _line(finding.code, str(finding))
    elif isinstance(error, RunFailed):
        at = f" at {error.path}" if error.path else ""
        yield _line(error.code, f"Run {error.run_id} failed{at}: {error.reason}")
    elif isinstance(error, AgentFlowError | InputUnusable):
        yield _line(error.code, str(error))
    elif isinstance(error, click.ClickException):
        yield _line(UsageError.code, error.format_message())
        context = getattr(error, "ctx", None)
        if context is not None:
            yield f"Try '{context.command_path} --help'."
    elif isinstance(error, OSError):
        yield _line("AF-IO", str(error))
    else:
        yield _line("AF-INTERNAL", f"{type(error).__name__}: {error} (--debug shows where)")


def dead_letter_line(kind: str, event_id: str, reason: str) -> str:
    """The line of an event that was put aside."""
    return _line("AF-EVENT-DEAD-LETTERED", f"Event {kind} {event_id} was put aside: {reason}")


def _line(code: str, message: str) -> str:
    return f"error[{code}]: {one_line(message)}"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group that happened side by side, or the one error."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
