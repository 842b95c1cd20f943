"""The output of the log: an event without secrets, for the application's structlog or for standard error."""

from __future__ import annotations

import contextlib
import re
import sys
import traceback

import structlog

from agentflow_kernel.redaction import Redactor, secret_variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

_ORDER = ("time", "level", "logger", "event", "run_id")
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]"
)
"""What would act on a terminal that shows the log."""

_redactor = Redactor()


def emit(level: str, event: str, fields: dict[str, object], *, form: str, hidden: Collection[str]) -> None:
    """Let one event out; nothing that goes wrong on the way is raised where standard error is gone.

    ``exc_info`` is turned into text first, since it is looked through for secrets, too.
    """
    redactor = _redactor_for(hidden)
    cause = fields.pop("exc_info", None)
    if cause:
        fields["exception"] = _text_of(cause)
    clean = redactor.fields(fields)
    if structlog.is_configured():
        getattr(structlog.get_logger(fields.get("logger")), level)(redactor.text(event), **clean)
        return
    if sys.stderr is None:
        return
    document = {"event": redactor.text(event), **clean}
    steps: list[Any] = [structlog.processors.TimeStamper("iso", key="time"), structlog.processors.add_log_level]
    steps.append(_as_json if form == "json" else _as_line)
    with contextlib.suppress(OSError, ValueError):  # closed, full or nobody reads: a log must not end the program
        getattr(structlog.wrap_logger(_Stream(), steps), level)(**document)


class _Stream:
    """Writes lines to what is standard error at that moment: a progress display may stand in for it."""

    def msg(self, line: str) -> None:
        """Write one line."""
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    debug = info = warning = error = msg


def _redactor_for(hidden: Collection[str]) -> Redactor:
    global _redactor  # noqa: PLW0603 -- kept until the environment or the hidden values change
    values = secret_variables().union(hidden)
    if not _redactor.knows(values):
        _redactor = Redactor(values)
    return _redactor


def _text_of(cause: object) -> str:
    """The traceback of ``exc_info``: ``True``, an exception or a triple."""
    if isinstance(cause, BaseException):
        error: BaseException | None = cause
    else:
        error = cause[1] if isinstance(cause, tuple) else sys.exc_info()[1]
    return "".join(traceback.format_exception(error)).rstrip() if error is not None else ""


def _as_line(logger: object, level: str, document: Any) -> str:
    """``time=… level=… logger=… event=…`` and the other fields in their order."""
    safe = {re.sub(r'[\s="]', "_", _shown(str(name))): _shown(value) for name, value in document.items()}
    known = [name for name in _ORDER if name in safe]
    return str(structlog.processors.LogfmtRenderer(key_order=known, bool_as_flag=False)(logger, level, safe))


def _as_json(logger: object, level: str, document: Any) -> str:
    import json  # lazy: loaded by structlog anyway

    ordered = {name: document[name] for name in _ORDER if name in document} | dict(document)
    text = json.dumps(_finite(ordered), ensure_ascii=False, default=repr, allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _shown(value: Any) -> Any:
    """A value as plain text that acts on nothing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, int | float):
        return value
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", value if isinstance(value, str) else str(value))


def _finite(value: Any) -> Any:
    """JSON has no infinities: they are written as text."""
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, dict):
        return {name: _finite(child) for name, child in value.items()}
    return [_finite(child) for child in value] if isinstance(value, list) else value
