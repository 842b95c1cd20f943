"""`agentflow get runs`: the runs of the state folder; another process may work on them meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentflow_cli.look import look
from agentflow_cli.output import show
from agentflow_cli.run_list import as_document, as_table
from agentflow_cli.shared import common_options, file_option
from agentflow_cli.terminal import one_line, say

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
@common_options
@click.pass_obj
def command(shared: Shared, status: str | None, limit: int, file: str | None) -> None:
    """List runs, newest first."""

    async def ask(kernel: Kernel) -> Sequence[RunInfo]:
        return await kernel.runs(status=status, limit=limit)

    infos = look(shared, ask, file) or []
    if not infos and shared.for_people:
        place = shared.state_folder(shared.settings()) if file is None else f"the journal of {one_line(file)}"
        say(f"No runs{'' if status is None else f' of status {status}'} in {place}.")
        return
    show(shared.output, [as_document(info) for info in infos], as_table(infos))
