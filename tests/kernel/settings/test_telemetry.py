"""Telemetry costs nothing until someone listens, and reaches those who do."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import structlog
from opentelemetry import metrics, trace

from agentflow_kernel import telemetry
from agentflow_kernel.telemetry import Logger, current_meter, current_tracer, get_logger, set_log_level


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """The environment is read anew, and structlog is as its import left it."""
    monkeypatch.setattr(telemetry, "_threshold", None)
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def test_a_quiet_logger_imports_nothing(tmp_path) -> None:
    """Neither structlog below the level, nor opentelemetry for a tracer that nobody asked for."""
    code = (
        "import sys\nbefore = set(sys.modules)\n"
        "from agentflow_kernel.telemetry import current_meter, current_tracer, get_logger\n"
        "log = get_logger('a')\nlog.debug('x', n=1)\nlog.info('x')\n"
        "assert current_tracer() is None and current_meter() is None\n"
        "loaded = sorted(set(sys.modules) - before)\n"
        "import json\nprint(json.dumps(loaded))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    loaded = {name for name in json.loads(done.stdout) if not name.startswith("agentflow_kernel")}
    assert loaded <= {"__future__"}
    assert done.stderr == ""


def test_a_warning_is_one_line_on_standard_error(capsys) -> None:
    """With time, level, the logger's name and the fields; never on standard output, which belongs to commands."""
    get_logger("agentflow.run").warning("run suspended", run_id="1", reason="two\nlines")
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    expected = r'time=\S+ level=warning logger=agentflow\.run event="run suspended" run_id=1 reason="?two\\nlines"?'
    assert re.fullmatch(expected, line)


def test_an_exception_is_part_of_the_line(capsys) -> None:
    """Asked for with `exc_info`."""
    try:
        int("odd")
    except ValueError:
        get_logger("a").error("failed", exc_info=True)
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: invalid literal" in line


@pytest.mark.parametrize(
    ("value", "heard"),
    [
        (None, ["warning", "error"]),
        ("", ["warning", "error"]),
        ("rubbish", ["warning", "error"]),
        ("DEBUG", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_environment_sets_the_level(monkeypatch, capsys, value, heard) -> None:
    """In any case of letters; what is no level counts as warning."""
    if value is not None:
        monkeypatch.setenv("AGENTFLOW_LOG", value)
    log_all(get_logger("a"))
    assert [line.partition("event=")[2] for line in capsys.readouterr().err.splitlines()] == heard


def log_all(log: Logger) -> None:
    for level in telemetry.LEVELS:
        getattr(log, level)(level)


def test_a_program_may_set_the_level(monkeypatch, capsys) -> None:
    """It counts more than the environment."""
    monkeypatch.setenv("AGENTFLOW_LOG", "error")
    set_log_level("info")
    log_all(get_logger("a"))
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_where_structlog_is_configured_events_go_there(capsys) -> None:
    """The application decides how they look, and its configuration is not touched."""
    caught: list[dict[str, object]] = []

    def keep(_logger, level, event):
        caught.append({"level": level, **event})
        raise structlog.DropEvent

    structlog.configure(processors=[keep])
    get_logger("a").warning("x", n=1)
    assert caught == [{"level": "warning", "event": "x", "logger": "a", "n": 1}]
    assert capsys.readouterr().err == ""


def test_our_own_form_leaves_structlog_unconfigured(capsys) -> None:
    """An application may still configure it later."""
    get_logger("a").warning("x")
    assert not structlog.is_configured()
    assert capsys.readouterr().err


@pytest.mark.parametrize("name", ["logger", "level", "time"])
def test_a_field_may_have_any_name(capsys, name) -> None:
    """A clash is no crash."""
    get_logger("a").warning("x", **{name: "mine"})
    assert "event=x" in capsys.readouterr().err


def test_without_a_provider_there_is_no_tracer_and_no_meter(monkeypatch) -> None:
    """Though the API is imported and a variable is set."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "x")
    assert current_tracer() is None
    assert current_meter() is None


def test_with_a_provider_there_is_a_tracer_and_a_meter(monkeypatch) -> None:
    """Made by whoever listens."""

    class Tracers(trace.TracerProvider):
        def get_tracer(self, *names, **_):
            return trace.NoOpTracer()

    class Meters(metrics.MeterProvider):
        def get_meter(self, name, *_, **__):
            return metrics.NoOpMeter(name)

    monkeypatch.setattr(trace, "get_tracer_provider", Tracers)
    monkeypatch.setattr(metrics, "get_meter_provider", Meters)
    assert isinstance(current_tracer(), trace.NoOpTracer)
    assert isinstance(current_meter(), metrics.NoOpMeter)


def test_a_no_op_provider_does_not_listen(monkeypatch) -> None:
    """Tracing that was turned off costs as little as none."""
    monkeypatch.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)
    assert current_tracer() is None
