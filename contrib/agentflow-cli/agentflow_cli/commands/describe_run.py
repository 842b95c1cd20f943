"""`agentflow describe run`: the head of a run and its timeline, also while another process works on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from agentflow_cli import replies
from agentflow_cli.completion import run_ids
from agentflow_cli.look import ALL, look, pick
from agentflow_cli.node_state import span
from agentflow_cli.output import Table, show
from agentflow_cli.run_list import as_document, duration_s, local
from agentflow_cli.shared import common_options, file_option, watch_options
from agentflow_cli.timeline import as_table, moments
from agentflow_cli.watching import Row, View, watch
from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.errors import UnknownRun
from agentflow_kernel.run.questions import open_questions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel
    from agentflow_kernel.contracts.journal import Record, RunInfo


@click.command("run")
@click.argument("run_id", shell_complete=run_ids)
@file_option
@watch_options
@common_options
@click.pass_obj
def command(
    shared: Shared,
    run_id: str,
    file: str | None,
    watching: bool,  # noqa: FBT001 - passed by name
    interval_s: float,
) -> int:
    """Show the head and the timeline of the run RUN_ID, an id or its beginning.

    TOOK is the time since the step before it in the same flow or agent; it is left out where steps ran side by side.
    With --watch until the run has ended.
    """
    if watching:
        return watch(shared.output, lambda: _view(*_found(shared, run_id, file)), interval_s=interval_s)
    info, records, origin = _found(shared, run_id, file)
    document = _document(info, records, origin)
    asked = open_questions(records)
    show(
        shared.output,
        document,
        _head(info, document),
        *([replies.as_table(asked)] if asked else []),
        as_table(moments(records)),
    )
    return 0


def _found(shared: Shared, run_id: str, file: str | None) -> tuple[RunInfo, Sequence[Record], Mapping[str, Any]]:
    """The run with its records and its origin."""

    async def ask(kernel: Kernel) -> tuple[RunInfo, Sequence[Record], Mapping[str, Any]]:
        info = pick(await kernel.runs(limit=ALL), run_id)
        return info, await kernel.history(info.run_id), await kernel.origin(info.run_id)

    found = look(shared, ask, file)
    if found is None:
        raise UnknownRun(run_id)
    return found


def _document(info: RunInfo, records: Sequence[Record], origin: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **as_document(info),
        "origin": origin,
        "input": _payload(records, "run.started", "input"),
        "output": _payload(records, "run.ended", "output"),
        "asks": [each.as_document() for each in open_questions(records)],
        "timeline": [moment.as_document() for moment in moments(records)],
    }


def _view(info: RunInfo, records: Sequence[Record], origin: Mapping[str, Any]) -> View:
    """The run as it is watched: its head, then one row for each record."""
    document = _document(info, records, origin)
    table = as_table(moments(records))
    rows = [
        Row(str(moment["seq"]), cells, moment, moment["seq"])
        for moment, cells in zip(document["timeline"], table.rows, strict=True)
    ]
    return View(table.columns, rows, head=_head(info, document), ended=info.status in TERMINAL, fit=table.fit)


def _payload(records: Sequence[Record], kind: str, key: str) -> Any:
    """A value of the last record of a kind; `None` without such a record and where the payload is stored apart."""
    for record in reversed(records):
        if record.type == kind:
            return record.payload.get(key) if isinstance(record.payload, dict) else None
    return None


def _head(info: RunInfo, document: Mapping[str, Any]) -> Table:
    """The head of a run for people; long values are cut."""
    values = {
        "run id": info.run_id,
        "name": info.name,
        "status": info.status,
        "cause": f"{info.code} {info.cause}".strip(),
        "started": local(info.started_at),
        "duration": span(duration_s(info)),
        "records": str(info.next_seq),
        "owners": str(info.epoch),
        "manifest": document["origin"].get("manifest"),
        "versions": ", ".join(f"{key} {number}" for key, number in document["origin"].get("versions", {}).items()),
        "model": document["origin"].get("model"),
        "input": _text(document["input"]),
        "output": _text(document["output"]),
    }
    return Table(("FIELD", "VALUE"), [(key, value) for key, value in values.items() if value])


def _text(value: Any) -> str:
    text = "" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 400 else text[:399] + "…"
