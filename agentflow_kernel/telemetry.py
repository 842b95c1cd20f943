"""Telemetry: façades for logs, spans and metrics that load nothing until someone listens."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""The names that ``AGENTFLOW_LOG`` may have, with their order; any other counts as ``warning``."""

_threshold: int | None = None


class Logger:
    """A named logger: an event in plain words and its fields. structlog is imported at the first event let through.

    Where the application has configured structlog, events go there; otherwise as one line each to standard error.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

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
        """Log what did not work; ``exc_info=True`` adds the exception being handled."""
        self._log("error", event, fields)

    def _log(self, level: str, event: str, fields: dict[str, object]) -> None:
        global _threshold  # noqa: PLW0603 -- the environment is read once, at the first event
        if _threshold is None:
            _threshold = LEVELS.get(os.environ.get("AGENTFLOW_LOG", "").lower(), LEVELS["warning"])
        if LEVELS[level] >= _threshold:
            import structlog  # lazy: 60 ms, 100 where rich is installed

            target = structlog.get_logger(self.name) if structlog.is_configured() else _to_stderr()
            getattr(target, level)(event, **{"logger": self.name, **fields})


def get_logger(name: str) -> Logger:
    """The logger of this name; costs nothing."""
    return Logger(name)


def set_log_level(level: str) -> None:
    """Let events of this level and above through, whatever ``AGENTFLOW_LOG`` says; ``level`` is one of ``LEVELS``."""
    global _threshold  # noqa: PLW0603 -- one a process
    _threshold = LEVELS[level]


def current_tracer() -> Tracer | None:
    """The tracer for spans, or ``None`` while nobody listens. Ask once a run, not once a step."""
    provider = _listener("opentelemetry.trace", "get_tracer_provider")
    return None if provider is None else provider.get_tracer("agentflow")


def current_meter() -> Meter | None:
    """The meter for metrics, or ``None`` while nobody listens. Ask once a run, not once a step."""
    provider = _listener("opentelemetry.metrics", "get_meter_provider")
    return None if provider is None else provider.get_meter("agentflow")


def _listener(module: str, get_provider: str) -> Any:
    """The provider that someone installed; those of the API itself, which drop everything, do not count."""
    if module not in sys.modules and not any(name.startswith("OTEL_") for name in os.environ):
        return None
    __import__(module)  # 28 ms, where the application has not paid them
    provider = getattr(sys.modules[module], get_provider)()
    return None if type(provider).__module__.startswith(module) else provider


def _to_stderr() -> Any:
    """A structlog logger that leaves the configuration of the application alone."""
    import structlog  # lazy: the caller has imported it

    steps = structlog.processors
    order = ("time", "level", "logger", "event")
    chain: list[Any] = [steps.TimeStamper("iso", key="time"), steps.add_log_level, steps.format_exc_info]
    chain.append(steps.LogfmtRenderer(key_order=order))
    return structlog.wrap_logger(structlog.PrintLogger(sys.stderr), chain)
