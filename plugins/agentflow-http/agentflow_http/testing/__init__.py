"""What authors of providers test with: a scripted HTTP server over real sockets, on asyncio and trio."""

from __future__ import annotations

from agentflow_http.testing._server import Answer, Cut, Delay, Received, Reset, ScriptedServer, Wait

__all__ = ("Answer", "Cut", "Delay", "Received", "Reset", "ScriptedServer", "Wait")
