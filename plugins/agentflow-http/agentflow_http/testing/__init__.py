"""What authors of providers test with: a scripted HTTP server over real sockets, and the harness for the kit."""

from __future__ import annotations

from agentflow_http.testing._harness import HttpProviderHarness, in_pieces
from agentflow_http.testing._server import Answer, Cut, Delay, Received, Reset, ScriptedServer, Wait

__all__ = (
    "Answer",
    "Cut",
    "Delay",
    "HttpProviderHarness",
    "Received",
    "Reset",
    "ScriptedServer",
    "Wait",
    "in_pieces",
)
