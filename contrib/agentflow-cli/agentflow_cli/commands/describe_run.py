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
from agentflow_cli.timeline import as_table, moments, tokens
from agentflow_cli.watching import Row, View, watch
from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.errors import UnknownRun
from agentflow_kernel.run.figures import figures_of
from agentflow_kernel.run.questions import open_questions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel
    from agentflow_kernel.contracts.journal import Record, RunInfo

    Found = tuple[RunInfo, Sequence[Record], Mapping[str, Any], Mapping[str, Any]]


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

    TOOK is how long the step has worked. Runs of older versions have the time since the step before it, where steps did
    not run side by side.
    With --watch until the run has ended.
    """
    if watching:
        return watch(shared.output, lambda: _view(*_found(shared, run_id, file)), interval_s=interval_s)
    info, records, origin, kin = _found(shared, run_id, file)
    document = _document(info, records, origin, kin)
    asked = open_questions(records)
    show(
        shared.output,
        document,
        _head(info, document),
        *([replies.as_table(asked)] if asked else []),
        as_table(moments(records)),
    )
    return 0


def _found(shared: Shared, run_id: str, file: str | None) -> Found:
    """The run with its records, its origin, and what is left of the runs before and after it."""

    async def ask(kernel: Kernel) -> Found:
        infos = await kernel.runs(limit=ALL)
        info = pick(infos, run_id)
        kin = {
            "parent_pruned": bool(info.parent) and all(other.run_id != info.parent for other in infos),
            "forks": [other.run_id for other in reversed(infos) if other.parent == info.run_id],
        }
        records = await kernel.history(info.run_id, whole=True)
        return info, records, await kernel.origin(info.run_id), kin

    found = look(shared, ask, file)
    if found is None:
        raise UnknownRun(run_id)
    return found


def _document(
    info: RunInfo, records: Sequence[Record], origin: Mapping[str, Any], kin: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        **as_document(info),
        "origin": origin,
        "forked_from": _payload(records, "run.started", "forked_from"),
        **kin,
        "figures": figures_of(records),
        "input": _payload(records, "run.started", "input"),
        "output": _payload(records, "run.ended", "output"),
        "asks": [each.as_document() for each in open_questions(records)],
        "timeline": [moment.as_document() for moment in moments(records)],
    }


def _view(info: RunInfo, records: Sequence[Record], origin: Mapping[str, Any], kin: Mapping[str, Any]) -> View:
    """The run as it is watched: its head, then one row for each record."""
    document = _document(info, records, origin, kin)
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
        "goes on from": _link(document["forked_from"], pruned=document["parent_pruned"]),
        "goes on in": ", ".join(document["forks"]),
        "model calls": _calls(document["figures"]),
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


def _link(forked_from: Mapping[str, Any] | None, *, pruned: bool) -> str:
    """Which run a retry or a fork goes on from, and where."""
    if not forked_from:
        return ""
    at = f" at {forked_from['step']}" if forked_from.get("step") else ""
    by = f", by {forked_from['by']}" if forked_from.get("by") else ""
    gone = ", pruned since" if pruned else ""
    return f"{forked_from['run']}{at} (record {forked_from['seq']}, {forked_from.get('kind', 'fork')}{by}{gone})"


def _calls(figures: Mapping[str, Any]) -> str:
    """What the model calls came to."""
    return f"{figures['model_calls']}: {tokens(figures)}" if figures.get("model_calls") else ""
