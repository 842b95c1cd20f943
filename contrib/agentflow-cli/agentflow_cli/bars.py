"""Progress bars: one for each running node, on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from agentflow_cli.terminal import in_colour

if TYPE_CHECKING:
    from agentflow_cli.node_state import NodeState


class Bars:
    """A live display on standard error; what a node leaves behind when it ends is one line above it."""

    def __init__(self) -> None:
        self._console = Console(
            file=sys.stderr, highlight=False, markup=False, emoji=False, no_color=not in_colour(sys.stderr)
        )
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[amount]}", markup=False),
            TextColumn("{task.fields[speed]}", markup=False, style="dim"),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[NodeState, TaskID] = {}
        self._progress.start()

    def started(self, node: NodeState) -> None:
        """Add a bar; it only moves to and fro while the total is not known."""
        self._tasks[node] = self._progress.add_task(node.label, total=node.total, amount=node.amount(), speed="")

    def advanced(self, node: NodeState, now: float) -> None:
        """Move the bar."""
        self._progress.update(
            self._tasks[node], completed=node.done, total=node.total, amount=node.amount(), speed=node.speed(now)
        )

    def ended(self, node: NodeState, line: str) -> None:
        """Put a line in the bar's place."""
        self._progress.remove_task(self._tasks.pop(node))
        self._progress.console.print(line, soft_wrap=True)

    def note(self, line: str) -> None:
        """A line above the bars."""
        self._progress.console.print(line, soft_wrap=True)

    def refresh(self) -> None:
        """Draw now; a thread does so ten times a second anyway."""
        self._progress.refresh()

    def close(self) -> None:
        """Take the bars off the screen."""
        self._progress.stop()
