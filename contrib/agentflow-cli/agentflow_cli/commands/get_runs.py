"""`agentflow get runs`: the runs of the state folder; another process may work on them meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentflow_cli.look import look
from agentflow_cli.output import show
from agentflow_cli.run_list import as_document, as_table
from agentflow_cli.shared import file_option, list_options, watch_options
from agentflow_cli.terminal import one_line, say, write
from agentflow_cli.watching import Row, View, watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel
    from agentflow_kernel.contracts.journal import RunInfo

STATUSES = (
    "queued", "running", "waiting", "suspended", "stuck", "quarantined", "completed", "failed", "cancelled",
)  # fmt: skip


@click.command("runs")
@click.option("--status", type=click.Choice(STATUSES), help="Only runs of this status.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@file_option
@watch_options
@list_options
@click.pass_obj
def command(
    shared: Shared,
    status: str | None,
    limit: int,
    file: str | None,
    watching: bool,  # noqa: FBT001 - passed by name
    interval_s: float,
) -> int:
    """List runs, newest first. With --watch until Ctrl-C; the exit code is then 130."""

    async def ask(kernel: Kernel) -> Sequence[RunInfo]:
        return await kernel.runs(status=status, limit=limit)

    if watching:
        return watch(shared.output, lambda: _view(shared, look(shared, ask, file) or []), interval_s=interval_s)
    infos = look(shared, ask, file) or []
    if shared.output == "name":
        write("".join(f"run/{info.run_id}\n" for info in infos))
    elif infos or not shared.for_people:
        show(shared.output, [as_document(info) for info in infos], as_table(infos, wide=shared.output == "wide"))
    else:
        place = shared.state_folder(shared.settings()) if file is None else f"the journal of {one_line(file)}"
        say(f"No runs{'' if status is None else f' of status {status}'} in {place}.")
    return 0


def _view(shared: Shared, infos: Sequence[RunInfo]) -> View:
    """The list as it is watched: a run is told anew when it stands elsewhere, not with every record."""
    table = as_table(infos, wide=shared.output == "wide")
    rows = [
        Row(f"run/{info.run_id}", cells, as_document(info), (info.status, info.cause, info.code, info.epoch))
        for info, cells in zip(infos, table.rows, strict=True)
    ]
    return View(table.columns, rows, fit=table.fit)
