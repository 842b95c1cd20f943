"""The log of runs: what a kernel tells, as events of the structured log with the run's id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentflow_kernel.telemetry import get_logger, is_logged

if TYPE_CHECKING:
    from agentflow_kernel import Progress

LEVELS: Final = {
    "run.started": "info",
    "run.completed": "info",
    "run.cancelled": "info",
    "run.suspended": "info",
    "run.stuck": "warning",
    "run.quarantined": "warning",
    "run.failed": "info",
}
"""Levels of what is told of whole runs; all else is for finding faults. A failure is said by the command itself."""


class RunLog:
    """A listener of a kernel. Called on the event loop; below the level nothing is imported."""

    def __init__(self) -> None:
        self._log = get_logger("agentflow.cli.run")

    def __call__(self, progress: Progress) -> None:
        """Log one thing that happened."""
        level = LEVELS.get(progress.name, "debug")
        if not is_logged(level):
            return
        fields = {f"{name}_" if name in {"event", "self"} else name: value for name, value in progress.fields.items()}
        if progress.run_id:
            fields["run_id"] = progress.run_id
        if progress.path:
            fields["path"] = progress.path
        getattr(self._log, level)(progress.name, **fields)
