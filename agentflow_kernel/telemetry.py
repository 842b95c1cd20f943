"""Telemetry: façades for logs, spans and metrics that load nothing until someone listens."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""The names that ``AGENTFLOW_LOG`` may have, with their order; any other counts as ``warning``."""
FORMATS = ("plain", "json")
"""The names that ``AGENTFLOW_LOG_FORMAT`` may have; any other counts as ``plain``."""

_threshold: int | None = None
_format: str | None = None
_hidden: set[str] = set()


class Logger:
    """A named logger: an event in plain words and its fields. structlog is imported at the first event let through.

    Where the application has configured structlog, events go there; otherwise as one line each to standard error, as
    ``AGENTFLOW_LOG_FORMAT`` says. Either way without secrets: fields that are secret by their name, values that
    :func:`hide` or an environment variable ending in ``_KEY``, ``_TOKEN``, ``_SECRET`` or ``_PASSWORD`` holds, and
    what has the form of a key are replaced by ``<redacted>``, in the text of exceptions, too.
    """

    __slots__ = ("name", "fields")

    def __init__(self, name: str, fields: Mapping[str, object] | None = None) -> None:
        self.name = name
        self.fields = fields

    def bind(self, **fields: object) -> Logger:
        """A logger of the same name whose events have these fields, too: ``log.bind(run_id=run.id)``."""
        return Logger(self.name, {**(self.fields or {}), **fields})

    def debug(self, event: str, **fields: object) -> None:
        """Log what helps to find a fault."""
        self._log("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Log normal progress."""
        self._log("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log what works now but wants attention."""
        self._log("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log what did not work; ``exc_info=True`` adds the exception being handled, as text."""
        self._log("error", event, fields)

    def _log(self, level: str, event: str, fields: dict[str, object]) -> None:
        if is_logged(level):
            from agentflow_kernel.log_output import emit  # lazy: structlog is 60 ms, 100 where rich is installed

            form = _format or os.environ.get("AGENTFLOW_LOG_FORMAT", "").lower()
            emit(level, event, {"logger": self.name, **(self.fields or {}), **fields}, form=form, hidden=_hidden)


def is_logged(level: str) -> bool:
    """Whether events of this level are let through; for callers to whom their fields cost something."""
    global _threshold  # noqa: PLW0603 -- the environment is read once, at the first event
    if _threshold is None:
        _threshold = LEVELS.get(os.environ.get("AGENTFLOW_LOG", "").lower(), LEVELS["warning"])
    return LEVELS[level] >= _threshold


def get_logger(name: str) -> Logger:
    """The logger of this name; costs nothing."""
    return Logger(name)


def set_log_level(level: str | None) -> None:
    """Let events of this level and above through, whatever ``AGENTFLOW_LOG`` says; ``None`` asks the variable again.

    ``level`` is one of ``LEVELS``.
    """
    global _threshold  # noqa: PLW0603 -- one a process
    _threshold = None if level is None else LEVELS[level]


def set_log_format(form: str | None) -> None:
    """Write lines as one of ``FORMATS``, whatever ``AGENTFLOW_LOG_FORMAT`` says; ``None`` asks the variable again."""
    global _format  # noqa: PLW0603 -- one a process
    if form is not None and form not in FORMATS:
        raise ValueError(f"The log has no format {form!r}; there are {', '.join(FORMATS)}.")
    _format = form


def hide(value: str) -> None:
    """Keep a value out of the log from now on, wherever it stands; for secrets that are in no variable of the kind."""
    if value:
        _hidden.add(value)


def current_tracer() -> Tracer | None:
    """The tracer for spans, or ``None`` while nobody listens. Ask once a run, not once a step."""
    tracer: Tracer | None = _made_by("opentelemetry.trace", "get_tracer_provider", "get_tracer")
    return tracer


def current_meter() -> Meter | None:
    """The meter for metrics, or ``None`` while nobody listens. Ask once a run, not once a step."""
    meter: Meter | None = _made_by("opentelemetry.metrics", "get_meter_provider", "get_meter")
    return meter


_PROVIDER_NAMED_BY = {
    "opentelemetry.trace": "OTEL_PYTHON_TRACER_PROVIDER",
    "opentelemetry.metrics": "OTEL_PYTHON_METER_PROVIDER",
}
"""Variables by which OpenTelemetry itself finds a provider that no code has installed."""

_latest: dict[str, tuple[object, Any]] = {}
"""By module the last provider and what it made: one tracer and one meter serve all runs."""


def _made_by(module: str, get_provider: str, make: str) -> Any:
    """What the provider makes that someone installed; those of the API itself drop everything and do not count."""
    if module not in sys.modules and _PROVIDER_NAMED_BY[module] not in os.environ:
        return None
    __import__(module)  # 28 ms, where the application has not paid them
    provider = getattr(sys.modules[module], get_provider)()
    if type(provider).__module__.startswith(module):
        return None
    latest = _latest.get(module)
    if latest is None or latest[0] is not provider:
        latest = _latest[module] = (provider, getattr(provider, make)("agentflow"))
    return latest[1]
