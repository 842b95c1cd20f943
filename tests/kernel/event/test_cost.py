"""What the lowest rooms load: nothing slow, so that everyone can afford them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ROOMS = [
    "agentflow_kernel.event",
    "agentflow_kernel.errors",
    "agentflow_kernel.telemetry",
    "agentflow_kernel.settings",
    "agentflow_kernel.hooks",
    "agentflow_kernel.loading",
]
CHEAP = {"__future__", "time", "_thread", "os", "sys"}


def newly_loaded(statement: str) -> set[str]:
    """The modules outside the kernel that a statement loads in a fresh interpreter."""
    code = f"import sys; before = set(sys.modules)\n{statement}\nloaded = sorted(set(sys.modules) - before)\n"
    code += "import json; print(json.dumps(loaded))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    return {name for name in json.loads(done.stdout) if not name.startswith("agentflow_kernel")}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_loads_nothing_of_the_standard_library(room) -> None:
    """Only what every interpreter has loaded already."""
    assert newly_loaded(f"import {room}") <= CHEAP


def test_an_event_is_built_without_json() -> None:
    """The codec is loaded at the border, when an event is written or read."""
    assert newly_loaded("from agentflow_kernel.event import Event; Event('t', {'a': 1}, extensions={'x': 1})") <= CHEAP
    assert "json" in newly_loaded("from agentflow_kernel.event import Event; Event('t').to_json()")
