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

FAILED: Final = 1
WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130

_CALLERS = (UsageError, PluginError, NotAllowed, UnknownRun, click.ClickException)
"""What the caller repairs: the call, the manifest, the installation."""


def report(error: BaseException, *, debug: bool) -> int:
    """Say on standard error what went wrong, one line for each finding, and return the exit code."""
    if debug:
        say(visible("".join(traceback.format_exception(error))).rstrip())
    code = WRONG_USAGE
    for leaf in _leaves(error):
        for line in lines(leaf):
            say(line)
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
    elif isinstance(error, AgentFlowError):
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


def _line(code: str, message: str) -> str:
    return f"error[{code}]: {one_line(message)}"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group that happened side by side, or the one error."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
