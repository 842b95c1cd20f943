"""A list of runs: their heads, as they are shown to programs and to people."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any, Final

from agentflow_cli.fitting import Fit
from agentflow_cli.node_state import span
from agentflow_cli.output import Table
from agentflow_kernel.contracts.journal import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.journal import RunInfo

FIT: Final = Fit(
    ids=True,
    firm=("STATUS", "STARTED", "DURATION"),
    spare=("DURATION", "STARTED", "CAUSE", "NAME"),
    kept=("STATUS",),
)
"""How a list of runs gives way: a run can be named by the beginning of its id, and its status is what counts."""


def as_document(info: RunInfo, now: float | None = None) -> dict[str, Any]:
    """The head of a run as JSON; times in UTC, `duration_s` up to the end, the last record, or now if it works."""
    return {
        "run_id": info.run_id,
        "name": info.name,
        "status": info.status,
        "cause": info.cause,
        "code": info.code,
        "started": utc(info.started_at),
        "updated": utc(info.updated_at),
        "duration_s": round(duration_s(info, now), 3),
        "records": info.next_seq,
        "epoch": info.epoch,
        "owner": info.owner,
        "parent": info.parent or None,
    }


def as_table(infos: Sequence[RunInfo], *, wide: bool = False) -> Table:
    """Runs as a table; a wide one has records, owners and all of the cause."""
    columns: tuple[str, ...] = ("RUN ID", "NAME", "STATUS", "STARTED", "DURATION", "CAUSE")
    rows: list[tuple[str, ...]] = [
        (info.run_id, info.name, info.status, local(info.started_at), span(duration_s(info)), cause(info, wide=wide))
        for info in infos
    ]
    if not wide:
        return Table(columns, rows, overflow="cut", fit=FIT)
    more = [(local(info.updated_at), str(info.next_seq), str(info.epoch), info.owner, info.parent) for info in infos]
    columns = (*columns[:-1], "UPDATED", "RECORDS", "OWNERS", "OWNER", "PARENT", columns[-1])
    rows = [(*row[:-1], *cells, row[-1]) for row, cells in zip(rows, more, strict=True)]
    return Table(columns, rows, overflow=None)


def cause(info: RunInfo, *, wide: bool = False) -> str:
    """Why a run stands where it does, in few words unless ``wide``."""
    text = f"{info.code} {info.cause}".strip() if info.code and info.cause != info.code else info.cause or info.code
    return text if wide or len(text) <= 80 else text[:79] + "…"


def duration_s(info: RunInfo, now: float | None = None) -> float:
    """How long a run has been working, or worked until it ended or stopped."""
    works = info.status not in TERMINAL and info.status not in {"suspended", "stuck", "quarantined"}
    end = (time.time() if now is None else now) if works else info.updated_at
    return max(end - info.started_at, 0.0)


def utc(ts: float) -> str:
    """A time for programs: ISO 8601 in UTC, milliseconds."""
    return dt.datetime.fromtimestamp(ts, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local(ts: float) -> str:
    """A time for people: local, to the second."""
    return dt.datetime.fromtimestamp(ts).astimezone().strftime("%Y-%m-%d %H:%M:%S")
