"""`agentflow events`: what runs have emitted and done, from the journal; also while another process works."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from agentflow_cli import failure
from agentflow_cli.cells import cut, fill
from agentflow_cli.completion import run_ids
from agentflow_cli.event_feed import Feed, moment
from agentflow_cli.look import look
from agentflow_cli.shared import file_option, other_options, output_option
from agentflow_cli.terminal import columns, escaped, one_line, pause, write
from agentflow_kernel.errors import UnknownRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_cli.event_feed import Entry
    from agentflow_cli.shared import Shared

WIDTHS = (23, 36, 24, 20)
"""Cells of time, run, type and path; what is longer pushes the rest of its line."""


@click.command("events")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C or the end of the one --run.")
@click.option(
    "-t", "--type", "types", multiple=True, metavar="PATTERN", help="Only this type, or 'prefix.*'; may be repeated."
)
@click.option(
    "--run", "run_id", metavar="RUN_ID", shell_complete=run_ids, help="Only this run, an id or its beginning."
)
@click.option("--since", metavar="TIME", help="Only from a time on: 30s, 10m, 2h or 1d ago, or an ISO 8601 time.")
@click.option(
    "--from", "start", metavar="SEQ", help="Only from this event on: RUN_ID/SEQ, or with --run a record's number."
)
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.05),
    default=0.5,
    show_default=True,
    metavar="SECONDS",
    help="How often --follow looks.",
)
@file_option
@output_option("table", "json")
@other_options
@click.pass_context
def command(context: click.Context, /, follow: bool, interval_s: float, file: str | None, **wanted: object) -> int:  # noqa: FBT001 - passed by name
    """Show what runs have emitted, and the records of their journal, whose types begin with `agentflow.`.

    As JSON each is a CloudEvent on one line. Events of one run are in their order, those of several by time.
    """
    shared: Shared = context.obj
    since = wanted["since"]
    feed = Feed(
        types=wanted["types"],  # type: ignore[arg-type]  # as click declares it
        run=wanted["run_id"],  # type: ignore[arg-type]  # as click declares it
        since=None if since is None else moment(str(since), time.time()),
        start=wanted["start"],  # type: ignore[arg-type]  # as click declares it
    )
    try:
        return _tell(shared, feed, file, interval_s if follow else None)
    except BaseException as error:
        if follow and failure.interrupts(error):
            return failure.INTERRUPTED
        raise


def _tell(shared: Shared, feed: Feed, file: str | None, interval_s: float | None) -> int:
    """Write what there is; with an interval go on until there cannot come more or nobody reads."""
    while True:
        found = look(shared, feed.take, file)
        if found is None and feed.run is not None and interval_s is None:
            raise UnknownRun(feed.run)
        if found and not write(_as_text(shared, found)):
            return 0
        if interval_s is None or feed.ended or not pause(interval_s):
            return 0


def _as_text(shared: Shared, entries: Sequence[Entry]) -> str:
    if shared.output == "json":
        return "".join(escaped(entry.as_event().to_json().decode()) + "\n" for entry in entries)
    room = columns(sys.stdout)
    lines = (_line(entry.cells()) for entry in entries)
    return "".join((line if room is None else cut(line, room)) + "\n" for line in lines)


def _line(cells: Sequence[str]) -> str:
    *others, note = map(one_line, cells)
    return "  ".join([*(fill(cell, room) for cell, room in zip(others, WIDTHS, strict=True)), note]).rstrip()
