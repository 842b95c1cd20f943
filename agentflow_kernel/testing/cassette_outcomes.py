"""An outcome: how a recorded call ended, as JSON, and made into a result or an error again."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, cast

from agentflow_kernel import errors
from agentflow_kernel.errors import AgentFlowError, ControlFlow, NotSerialisable
from agentflow_kernel.run.canonical import to_json
from agentflow_kernel.run.fault import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.contracts.provider import ModelRequest
    from agentflow_kernel.contracts.tool import Tool
    from agentflow_kernel.contracts.values import JSON


class ReplayedError(Exception):
    """Base of the classes that stand for recorded errors of neither Python nor the kernel; the name is the same."""


def plain(value: object, what: str) -> JSON:
    """A copy as JSON; raises :class:`NotSerialisable` naming ``what`` and the place in it."""
    return to_json(value, what)[0]


def request_json(request: ModelRequest) -> dict[str, JSON]:
    """The request without its idempotency key, which is another in every run; empty fields are left out."""
    document: dict[str, JSON] = {}
    for name in request.content:
        value = getattr(request, name)
        if name in {"messages", "tools"}:
            value = [item.to_json() for item in value]
        if name != "key" and value not in (None, "", []):
            document[name] = value
    return document


def tool_json(tool: Tool) -> dict[str, JSON]:
    """The tool without its name."""
    return {name: getattr(tool, name) for name in tool.content if name != "name"}


def error_json(error: Exception) -> dict[str, JSON]:
    """What is needed to raise the error again.

    A class of a plugin is written as the nearest one of :mod:`agentflow_kernel.errors`: a cassette imports nothing.
    """
    kind = type(error)
    if isinstance(error, AgentFlowError | ControlFlow):
        kind = next(parent for parent in kind.__mro__ if vars(errors).get(parent.__name__) is parent)
    document: dict[str, JSON] = {"class": kind.__name__, "message": printable(str(error))}
    if isinstance(error, AgentFlowError):
        document |= {"code": error.code, "executed": error.executed}
        if error.retry_after_s is not None:
            document["retry_after_s"] = error.retry_after_s
    if isinstance(error, AgentFlowError | ControlFlow):
        details = _details(error, leave_out=document)
        if details:
            document["details"] = details
    elif vars(builtins).get(kind.__name__) is kind:
        filename = getattr(error, "filename", None) if isinstance(error, OSError) else None
        arguments = _as_json([*error.args, *([] if filename is None else [filename])])
        if arguments is not None:
            document["args"] = arguments
    return document


def _details(error: Exception, *, leave_out: Mapping[str, JSON]) -> dict[str, JSON]:
    """The error's own attributes, as far as they are JSON; ``None`` is an attribute like any other."""
    found: dict[str, JSON] = {}
    for name, value in vars(error).items():
        document = _as_json(list(value) if isinstance(value, tuple) else value)
        if name not in leave_out and (document is not None or value is None):
            found[name] = document
    return found


def _as_json(value: object) -> JSON:
    try:
        return plain(value, "an error")
    except NotSerialisable:
        return None


def error_from_json(document: Mapping[str, JSON]) -> Exception:
    """The error that :func:`error_json` wrote."""
    name, message = str(document["class"]), str(document["message"])
    kind = vars(errors).get(name)
    if isinstance(kind, type) and issubclass(kind, AgentFlowError | ControlFlow):
        return _of_kernel(kind, message, document)
    kind = vars(builtins).get(name)
    if isinstance(kind, type) and issubclass(kind, Exception) and "args" in document:
        arguments = cast("list[object]", document["args"])
        try:
            return kind(*arguments)
        except TypeError:  # made by something else than its own arguments: the name and the text remain
            pass
    stand_in: type[Exception] = type(name, (ReplayedError,), {})
    return stand_in(message)


def _of_kernel(kind: type[Exception], message: str, document: Mapping[str, JSON]) -> Exception:
    """Made without its constructor, which takes other arguments in every class."""
    error = kind.__new__(kind)
    error.args = (message,)
    details = cast("Mapping[str, JSON]", document.get("details", {}))
    for name, value in details.items():
        is_tuple = isinstance(value, list) and isinstance(error, AgentFlowError)  # their sequences are tuples
        setattr(error, name, tuple(cast("list[JSON]", value)) if is_tuple else value)
    for name in ("code", "executed", "retry_after_s"):
        if name in document and getattr(error, name) != document[name]:
            setattr(error, name, document[name])
    return error
