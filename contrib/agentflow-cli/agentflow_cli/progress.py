"""Progress: what a kernel tells while runs work, counted for the last line and handed to a view of running nodes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, cast

from agentflow_cli.node_state import NodeState, span
from agentflow_cli.terminal import one_line, say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentflow_kernel import Progress

WAIT_TOLD_S = 1.0
"""From how many seconds on a wait before another attempt is told of."""
LINE_EVERY_S = 1.0
"""A node that works gets at most one line in this time."""


class View(Protocol):
    """Shows running nodes. Called from the event loop: every method is quick."""

    def started(self, node: NodeState) -> None:
        """A node began."""

    def advanced(self, node: NodeState, now: float) -> None:
        """A node's counts changed."""

    def ended(self, node: NodeState, line: str) -> None:
        """A node ended; the line says how."""

    def note(self, line: str) -> None:
        """Something to say beside the nodes."""

    def close(self) -> None:
        """Nothing more comes; may be called twice."""


class Silence:
    """The view of `--no-progress`: nothing."""

    def started(self, node: NodeState) -> None:
        """Nothing."""

    def advanced(self, node: NodeState, now: float) -> None:
        """Nothing."""

    def ended(self, node: NodeState, line: str) -> None:
        """Nothing."""

    def note(self, line: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Lines(Silence):
    """Plain lines on standard error, for log files and pipes."""

    def started(self, node: NodeState) -> None:
        """A line."""
        say(f"{node.label}: started{'' if node.total is None else f', {node.total:,} items'}")

    def advanced(self, node: NodeState, now: float) -> None:
        """A line, unless the node's last one is too young."""
        if now - node.spoke >= LINE_EVERY_S:
            node.spoke = now
            say(f"{node.label}: {', '.join(filter(None, (node.amount(), node.speed(now))))}")

    def ended(self, node: NodeState, line: str) -> None:
        """A line."""
        say(line)

    def note(self, line: str) -> None:
        """A line."""
        say(line)


class Watch:
    """The listener of a kernel: knows which runs are under way, counts steps and events, and feeds the view."""

    def __init__(self, view: View, clock: Callable[[], float] = time.monotonic) -> None:
        self.view = view
        self.runs: dict[str, tuple[str, str]] = {}
        """Name and status of the runs that were heard of, by id, oldest first; unless ended, that is `suspended`."""
        self.seconds: dict[str, float] = {}
        """How long each run that has stopped took, from the first to the last that was heard of it."""
        self.emitted: dict[str, dict[str, int]] = {}
        """Events emitted while watching, by run and type."""
        self.errors: dict[str, tuple[str, str]] = {}
        """Code and message of the runs that ended with an error, by id."""
        self.dead_letters: list[tuple[str, str, str]] = []
        """Type, id and reason of the events that nobody could handle."""
        self._clock = clock
        self._since: dict[str, float] = {}
        self._nodes: dict[tuple[str, str], NodeState] = {}
        self._handlers: dict[str, Callable[[Progress, Mapping[str, object]], None]] = {
            "run.started": self._run_started,
            "run.completed": self._run_ended,
            "run.failed": self._run_ended,
            "run.cancelled": self._run_ended,
            "run.suspended": self._run_ended,
            "run.stuck": self._run_ended,
            "node.started": self._node_started,
            "node.completed": self._node_completed,
            "node.failed": self._node_failed,
            "branch.completed": self._branch_completed,
            "progress.reported": self._progress_reported,
            "model.answered": self._model_answered,
            "tool.returned": self._tool_returned,
            "event.emitted": self._event_emitted,
            "retry.scheduled": self._retry_scheduled,
        }

    def __call__(self, progress: Progress) -> None:
        """Take one progress event; names that are not known here are passed over."""
        if progress.name == "event.dead_lettered":
            kind, event_id, reason = (str(progress.fields.get(key, "")) for key in ("type", "id", "reason"))
            self.dead_letters.append((kind, event_id, reason))
        if not progress.run_id:
            return  # something that runs share tells of itself
        if progress.run_id not in self._since:
            self._since[progress.run_id] = self._clock()
            self.runs[progress.run_id] = ("", "suspended")
        handler = self._handlers.get(progress.name)
        if handler is not None:
            handler(progress, progress.fields)

    def working(self) -> int:
        """How many runs have been heard of and have not stopped."""
        return len(self.runs) - len(self.seconds)

    def _run_started(self, progress: Progress, fields: Mapping[str, object]) -> None:
        name = one_line(str(fields.get("name") or ""))
        self.runs[progress.run_id] = (name, "suspended")
        verb = "resumed" if fields.get("resumed") else "started"
        self.view.note(f"run {progress.run_id} {verb}{': ' + name if name else ''}")

    def _run_ended(self, progress: Progress, fields: Mapping[str, object]) -> None:
        self.runs[progress.run_id] = (self.runs[progress.run_id][0], progress.name.removeprefix("run."))
        self.seconds[progress.run_id] = self._clock() - self._since[progress.run_id]
        if "code" in fields:
            self.errors[progress.run_id] = (str(fields["code"]), str(fields.get("message", "")))

    def _node_started(self, progress: Progress, fields: Mapping[str, object]) -> None:
        if "[" in progress.path:
            return  # inside one item of a batch: the batch is what is shown
        short = f"{progress.run_id[-6:]} " if self.working() > 1 else ""
        label = short + one_line(progress.path or str(fields.get("node", "")))
        node = NodeState(label, cast("int | None", fields.get("items")), self._clock())
        self._nodes[progress.run_id, progress.path] = node
        self.view.started(node)

    def _node_completed(self, progress: Progress, _: Mapping[str, object]) -> None:
        node = self._nodes.pop((progress.run_id, progress.path), None)
        if node is not None:
            amount = f", {node.amount()}" if node.amount() else ""
            self.view.ended(node, f"{node.label}: completed in {span(self._clock() - node.since)}{amount}")

    def _node_failed(self, progress: Progress, fields: Mapping[str, object]) -> None:
        node = self._nodes.pop((progress.run_id, progress.path), None)
        if node is not None:
            cause = one_line(f"[{fields.get('code', '')}] {fields.get('message', '')}")
            self.view.ended(node, f"{node.label}: failed after {span(self._clock() - node.since)} {cause}")

    def _branch_completed(self, progress: Progress, fields: Mapping[str, object]) -> None:
        if progress.path.find("[") == progress.path.rfind("["):  # a batch within a batch is not shown
            self._count(progress, fields)

    def _progress_reported(self, progress: Progress, fields: Mapping[str, object]) -> None:
        if "[" not in progress.path:  # items of a batch are counted as they complete
            self._count(progress, fields)

    def _model_answered(self, progress: Progress, _: Mapping[str, object]) -> None:
        node = self._node_above(progress)
        if node is not None:
            node.models += 1
            self.view.advanced(node, self._clock())

    def _tool_returned(self, progress: Progress, _: Mapping[str, object]) -> None:
        node = self._node_above(progress)
        if node is not None:
            node.tools += 1
            self.view.advanced(node, self._clock())

    def _event_emitted(self, progress: Progress, fields: Mapping[str, object]) -> None:
        types = self.emitted.setdefault(progress.run_id, {})
        kind = str(fields.get("type", ""))
        types[kind] = types.get(kind, 0) + 1

    def _retry_scheduled(self, progress: Progress, fields: Mapping[str, object]) -> None:
        """A wait before the next attempt, which a peer may have asked for; short ones would only be noise."""
        wait_s = cast("float", fields.get("wait_s", 0.0))
        if wait_s >= WAIT_TOLD_S:
            cause = one_line(f"[{fields.get('code') or fields.get('error')}] {fields.get('message', '')}")
            what = one_line(progress.path or str(fields.get("name", "")))
            attempt = cast("int", fields.get("attempt", 1))
            self.view.note(f"{what}: attempt {attempt} failed, the next one in {span(wait_s)} {cause}")

    def _count(self, progress: Progress, fields: Mapping[str, object]) -> None:
        node = self._node_above(progress)
        if node is not None:
            now = self._clock()
            total = cast("int | None", fields.get("total"))
            node.count(cast("int", fields.get("done", 0)), total, one_line(str(fields.get("unit") or "")), now)
            self.view.advanced(node, now)

    def _node_above(self, progress: Progress) -> NodeState | None:
        """The running node that an action belongs to: the nearest one up its path, items of a batch left off."""
        path = progress.path.partition("[")[0]
        while (progress.run_id, path) not in self._nodes:
            if "/" not in path and "!" not in path:
                return None
            path = path[: max(path.rfind("/"), path.rfind("!"))]
        return self._nodes[progress.run_id, path]
