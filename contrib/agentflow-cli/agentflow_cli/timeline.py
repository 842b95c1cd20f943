"""A timeline: the records of a run in order, each with its time, size, and how long its step took."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentflow_cli.fitting import Fit
from agentflow_cli.node_state import span
from agentflow_cli.output import Table
from agentflow_cli.run_list import utc
from agentflow_kernel.contracts.journal import compacted_to
from agentflow_kernel.run.figures import usage_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.journal import Record

STEPS = ("step.completed", "step.failed")


class Moment:
    """One record. ``took_s`` is ``None`` where steps ran side by side, so that records do not tell when it began."""

    __slots__ = ("at_s", "note", "record", "size_bytes", "took_s", "usage")

    def __init__(self, record: Record, *, at_s: float, took_s: float | None) -> None:
        self.record = record
        self.at_s = at_s
        payload = record.payload if isinstance(record.payload, dict) else {}
        measured = payload.get("took_s")
        self.took_s = float(measured) if isinstance(measured, int | float) else took_s
        self.size_bytes = None if record.ref else len(compact(record.payload).encode("utf-8", "backslashreplace"))
        self.note = note_of(record.type, payload)
        self.usage = usage_of(payload) if record.type == "step.completed" else None

    def as_document(self) -> dict[str, Any]:
        """The moment as JSON; the size is `null` for a payload that is stored apart."""
        record = self.record
        return {
            "seq": record.seq,
            "type": record.type,
            "path": record.path,
            "at": utc(record.ts),
            "took_s": None if self.took_s is None else round(self.took_s, 6),
            "attempt": record.attempt,
            "epoch": record.epoch,
            "size_bytes": self.size_bytes,
            "note": self.note,
            "usage": self.usage,
        }


def moments(records: Sequence[Record]) -> list[Moment]:
    """The records of one run, in order, as moments."""
    began = records[0].ts if records else 0.0
    clocks = _Clocks()
    found = [Moment(record, at_s=record.ts - began, took_s=clocks.take(record)) for record in records]
    gone = compacted_to(records)
    if gone:
        found[1].note = f"what came before: {gone - 1} records, deleted since"
    return found


def as_table(found: Sequence[Moment]) -> Table:
    """The timeline as a table."""
    columns = ("SEQ", "AT", "TYPE", "PATH", "TOOK", "ATTEMPT", "SIZE", "NOTE")
    rows = [
        (
            str(moment.record.seq),
            f"+{span(max(moment.at_s, 0.0))}",
            moment.record.type,
            moment.record.path,
            "" if moment.took_s is None else span(moment.took_s),
            str(moment.record.attempt),
            "apart" if moment.size_bytes is None else size(moment.size_bytes),
            moment.note,
        )
        for moment in found
    ]
    return Table(columns, rows, fit=Fit(firm=("AT", "TOOK"), spare=("SIZE", "ATTEMPT", "TOOK", "PATH", "AT")))


def size(count: int) -> str:
    """A number of bytes for people."""
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f} MiB"


class _Clocks:
    """Knows when the next step of each flow or agent in the run begins: when the one before it is on record."""

    def __init__(self) -> None:
        self._woke = 0.0
        self._last: dict[str, float] = {}
        self._side_by_side: set[str] = set()

    def take(self, record: Record) -> float | None:
        """How long the record's step took, if it is one and that can be told."""
        if record.type in {"run.started", "lease"}:
            self._woke = record.ts
        if record.type == "decision":
            payload = record.payload if isinstance(record.payload, dict) else {}
            change = self._side_by_side.add if _length(payload.get("open")) > 1 else self._side_by_side.discard
            change(record.path)
        if record.type not in STEPS:
            return None
        frame = record.path.rpartition("/")[0]
        began = self._start(record.path)
        if not record.path.endswith("]"):
            self._last[frame] = record.ts
        return None if began is None or frame in self._side_by_side else max(record.ts - began, 0.0)

    def _start(self, path: str) -> float | None:
        """When the next step at this path begins; unknown for one item of a batch."""
        if path.endswith("]"):
            return None
        frame = path.rpartition("/")[0]
        began = self._last.get(frame)
        if began is None:
            began = self._start(frame) if frame else self._woke
        return None if began is None else max(began, self._woke)


def note_of(kind: str, payload: Mapping[str, Any]) -> str:
    """What is worth knowing of a record besides its figures, in few words."""
    if kind == "run.started":
        return str(payload.get("name", ""))
    if kind in {"run.ended", "run.suspended"}:
        parts = (payload.get(key) for key in ("status", "cause", "code", "error"))
        return short(": ".join(str(part) for part in parts if part))
    if kind == "event.emitted":
        return str(payload.get("type", ""))
    if kind == "step.intent":
        return short(" ".join(str(payload[what]) for what in ("tool", "node", "step") if what in payload))
    if kind.startswith("compensation.") and "error" not in payload:
        return str(payload.get("node") or "; ".join(payload.get("steps", ())) or "done")
    if kind == "lease":
        accepted = f", accepted by {payload.get('by') or 'somebody'}" if payload.get("accepted") else ""
        return f"owner {payload.get('owner', '')}{accepted}"
    if kind in _WAITS:
        return _note_of_wait(kind, payload)
    if kind == "snapshot":
        return "what came before"
    if "decided" in payload:
        return short(f"decided as {payload['decided']} by {payload.get('by') or 'somebody'}")
    usage = usage_of(payload)
    if usage is not None:
        return tokens(usage)
    if "error" in payload:
        return short(f"error {compact(payload['error'])}")
    if "skipped" in payload:
        return "skipped"
    return f"→ {payload['action']}" if "action" in payload else ""


_WAITS = frozenset(("timer.set", "wait.opened", "wait.resolved", "signal.received", "signal.consumed"))


def _note_of_wait(kind: str, payload: Mapping[str, Any]) -> str:
    deadline = payload.get("deadline")
    until = f"until {utc(deadline)}" if isinstance(deadline, int | float) else ""
    if kind == "timer.set":
        return until
    if kind == "wait.opened":
        return short(f"for {payload.get('name', '')} {until}".strip())
    if kind == "wait.resolved":
        return short(f"{payload.get('name', '')} {'by its signal' if 'signal' in payload else 'elapsed'}".strip())
    if kind == "signal.consumed":
        return f"taken by {payload['by']}" if "by" in payload else "it did not fit"
    return short(str(payload.get("name", "")))


def tokens(figures: Mapping[str, Any]) -> str:
    """Tokens and US dollars, of one call or of many; how many calls have no known price."""
    text = f"{figures.get('input_tokens', 0)} + {figures.get('output_tokens', 0)} tokens"
    cost, unpriced = figures.get("cost_usd"), figures.get("unpriced_calls")
    text += f", {cost:.6f} USD" if isinstance(cost, int | float) else ""
    return text + (f", {unpriced} calls without a price" if unpriced else "")


def compact(value: Any) -> str:
    """A value as JSON without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def short(text: str) -> str:
    """The text in at most 120 characters."""
    return text if len(text) <= 120 else text[:119] + "…"


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0
