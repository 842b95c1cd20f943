"""The telemetry set-up: sends the traces and metrics of a command where the variables of OpenTelemetry say.

Source: the general SDK configuration and the OTLP exporter configuration of OpenTelemetry.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from importlib import import_module
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from agentflow_cli.terminal import say
from agentflow_kernel.telemetry import current_meter, current_tracer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ASKED_BY: Final = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
"""Variables of which one must be set, and not empty, for anything to be sent."""

INSTALL: Final = "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
FLUSH_S: Final = 5.0
"""How long the end of a command waits for what is left to be taken; a collector that is down is tried for longer."""


@contextmanager
def exporting() -> Iterator[None]:
    """Send what runs meanwhile where the environment says, and all of it before leaving; costs nothing unless asked.

    ``otlp`` (over HTTP), ``console`` and ``none`` are the exporters. Nothing is changed where somebody listens
    already, such as ``opentelemetry-instrument``. What cannot be set up is said on standard error and left out.
    """
    asked = [name for name in ASKED_BY if os.environ.get(name)]
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or not asked or current_tracer() is not None or current_meter() is not None:
        yield
        return
    providers: list[Any] = []
    try:
        for set_up in (_trace, _measure):
            providers += set_up()
    except ImportError as error:
        say(f"{asked[0]} is set, but nothing can be sent without {error.name!r}: {INSTALL}")
    except ValueError as error:
        say(f"The variables of OpenTelemetry cannot be used: {error}")
    try:
        yield
    finally:
        _shut_down(providers)


def _shut_down(providers: Sequence[Any]) -> None:
    """Send what is left, side by side, and go on without what is not taken in time."""
    threads = [Thread(target=provider.shutdown, daemon=True) for provider in providers]
    end = monotonic() + FLUSH_S
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(end - monotonic(), 0.0))
    if any(thread.is_alive() for thread in threads):
        say(f"Not all telemetry could be sent within {FLUSH_S:g} s; the rest is lost.")


def _trace() -> list[Any]:
    """The provider of tracers, made the global one; nothing where traces go nowhere."""
    exporter = _exporter(
        "TRACES",
        otlp=("opentelemetry.exporter.otlp.proto.http.trace_exporter", "OTLPSpanExporter"),
        console=("opentelemetry.sdk.trace.export", "ConsoleSpanExporter"),
    )
    if exporter is None:
        return []
    sdk, export = import_module("opentelemetry.sdk.trace"), import_module("opentelemetry.sdk.trace.export")
    provider = sdk.TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(export.BatchSpanProcessor(exporter))
    import_module("opentelemetry.trace").set_tracer_provider(provider)
    return [provider]


def _measure() -> list[Any]:
    """The provider of meters, made the global one; nothing where metrics go nowhere."""
    exporter = _exporter(
        "METRICS",
        otlp=("opentelemetry.exporter.otlp.proto.http.metric_exporter", "OTLPMetricExporter"),
        console=("opentelemetry.sdk.metrics.export", "ConsoleMetricExporter"),
    )
    if exporter is None:
        return []
    sdk, export = import_module("opentelemetry.sdk.metrics"), import_module("opentelemetry.sdk.metrics.export")
    provider = sdk.MeterProvider(
        [export.PeriodicExportingMetricReader(exporter)], resource=_resource(), shutdown_on_exit=False
    )
    import_module("opentelemetry.metrics").set_meter_provider(provider)
    return [provider]


def _exporter(signal: str, **known: tuple[str, str]) -> Any:
    """What the environment names for this signal, ``None`` for none; the default is ``otlp``."""
    variable = f"OTEL_{signal}_EXPORTER"
    name = os.environ.get(variable) or "otlp"
    if name == "none":
        return None
    if name not in known:
        say(f"{variable}={name} is not known here; use one of: {', '.join(known)}, none.")
        return None
    protocols = (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((os.environ[each] for each in protocols if os.environ.get(each)), "http/protobuf")
    if name == "otlp" and protocol != "http/protobuf":
        say(f"OTLP over {protocol} is not known here; {signal.lower()} are sent over http/protobuf.")
    module, kind = known[name]
    make = getattr(import_module(module), kind)
    return make(out=sys.stderr) if name == "console" else make()  # standard output is for the answer


def _resource() -> Any:
    """Who sends: what the environment says, and ``agentflow`` as the service where it says nothing."""
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = import_module("opentelemetry.sdk.resources").Resource
    return resource.create({} if named else {"service.name": "agentflow"})
