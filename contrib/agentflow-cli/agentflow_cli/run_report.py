"""The report of a run: how it ended and what it gave, for programs and for people."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from agentflow_cli.node_state import span
from agentflow_cli.output import as_text
from agentflow_cli.terminal import one_line, visible
from agentflow_kernel.errors import RunError, RunFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel import RunHandle


class RunReport:
    """One run as it stands when the command ends. ``error`` is set unless the run is completed."""

    def __init__(self, run_id: str, name: str) -> None:
        self.run_id = run_id
        self.name = name
        self.status = "suspended"
        self.output: Any = None
        self.display: str | None = None
        self.folder: str | None = None
        self.error: RunError | None = None
        self.seconds = 0.0
        self.steps = 0
        self.events: Mapping[str, int] = {}

    def take(self, handle: RunHandle) -> None:
        """Take over what the handle knows."""
        self.status, self.steps = handle.status, handle.steps
        self.display, self.folder = handle.display, handle.folder

    def as_document(self) -> dict[str, Any]:
        """The report as JSON."""
        document: dict[str, Any] = {
            "run_id": self.run_id,
            "name": self.name,
            "status": self.status,
            "seconds": round(self.seconds, 3),
            "steps": self.steps,
            "events": dict(self.events),
            "artifacts": self.folder,
            "output": self.output,
        }
        if self.error is not None:
            reason = getattr(self.error, "reason", str(self.error))
            document["error"] = {"code": self.error.code, "message": reason, "path": getattr(self.error, "path", "")}
        return document

    def text(self) -> str:
        """What the run gave: its text for people if it has one, else its output."""
        return as_text(self.output) if self.display is None else visible(self.display).rstrip("\n") + "\n"

    def summary(self) -> str:
        """One line: which run, how it ended, how long it took, what it left behind."""
        parts = [
            f"run {self.run_id} {self.status} in {span(self.seconds)}",
            f"{self.steps:,} step{'' if self.steps == 1 else 's'}",
        ]
        if self.events:
            counted = ", ".join(f"{count:,} {one_line(kind)}" for kind, count in self.events.items())
            parts.append(f"events: {counted}")
        if self.folder is not None:
            parts.append(f"files: {one_line(nearby(self.folder))}")
        return "; ".join(parts)


def nearby(path: str) -> str:
    """The path relative to the working directory where it lies below that."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def told_error(run_id: str, status: str, code: str, message: str) -> RunError:
    """The error of a run of which only progress was heard; a message may hold what is said of every such run."""
    if status != "failed":
        error = RunError(run_id, message)
        error.code = code
        return error
    place, colon, reason = message.removeprefix(f"Run {run_id} failed").partition(": ")
    if not colon or not message.startswith(f"Run {run_id} failed"):
        place, reason = "", message
    return RunFailed(run_id, code, reason.removesuffix(f" [{code}]"), place.removeprefix(" at "))
