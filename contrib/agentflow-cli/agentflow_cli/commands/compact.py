"""`agentflow compact`: delete what runs have on record before their last snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentflow_cli.look import ALL, look, pick
from agentflow_cli.output import show
from agentflow_cli.shared import common_options, file_option
from agentflow_cli.terminal import say
from agentflow_kernel.errors import CorruptRecord, RunBusy, UnknownRun, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel


@click.command("compact")
@click.argument("run_ids", metavar="[RUN_ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All runs of the journal, those that have ended included.")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@file_option
@common_options
@click.pass_obj
def command(
    shared: Shared,
    run_ids: Sequence[str],
    every: bool,  # noqa: FBT001 - passed by name
    dry_run: bool,  # noqa: FBT001 - passed by name
    file: str | None,
) -> int:
    """Delete what runs have on record before their last snapshot; they go on as before, whoever works on them.

    RUN_ID is an id or its beginning. A run cannot be copied from a step that was deleted any more.
    """
    if bool(run_ids) == every:
        raise UsageError("Name the runs to compact, or give --all.")

    async def ask(kernel: Kernel) -> dict[str, int]:
        infos = await kernel.runs(limit=ALL)
        chosen = infos if every else [pick(infos, run_id) for run_id in run_ids]
        counts: dict[str, int] = {}
        for info in chosen:
            try:
                counts[info.run_id] = await kernel.compact(info.run_id, dry_run=dry_run)
            except (CorruptRecord, RunBusy) as error:
                if not every:
                    raise
                say(f"[{error.code}] {error}")
        return {run_id: count for run_id, count in counts.items() if count}

    counts = look(shared, ask, file)
    if counts is None and run_ids:
        raise UnknownRun(run_ids[0])
    counts = counts or {}
    if shared.for_people:
        total = sum(counts.values())
        done = "would be deleted" if dry_run else "deleted"
        say(f"{total} records of {len(counts)} runs {done}.")
    else:
        show(shared.output, {"runs": counts, "dry_run": dry_run})
    return 0
