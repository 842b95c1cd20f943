"""A trace: what happened in a simulated world, in order, one line for each progress event, crash and other fault."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.testing.world import World

_WRITE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=repr).encode


class Trace:
    """Lines as objects: ``at`` in virtual seconds, ``process``, ``event``, and what belongs to it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.lines: list[dict[str, Any]] = []

    def note(self, event: str, **fields: object) -> None:
        """Add a line."""
        at = round(self._world.clock.monotonic(), 6)
        self.lines.append({"at": at, "process": self._world.process, "event": event, **fields})

    def as_bytes(self) -> bytes:
        """JSON lines: the same for the same seed, in every process."""
        return "".join(f"{_WRITE(line)}\n" for line in self.lines).encode()


def shortened_trace(trace: bytes, most: int) -> Sequence[str]:
    """The last lines of a trace, for people: those round its end, where a failure shows."""
    lines = [json.loads(line) for line in trace.splitlines()]
    told = []
    for line in lines[-most:]:
        rest = {key: value for key, value in line.items() if key not in ("at", "process", "event", "run") and value}
        fields = " ".join(f"{key}={value}" for key, value in rest.items())
        told.append(f"{line['at']:>12.3f} s  process {line['process']}  {line['event']} {fields}".rstrip())
    return ([f"… {len(lines) - most} lines before"] if len(lines) > most else []) + told
