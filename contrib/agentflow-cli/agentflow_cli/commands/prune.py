"""`agentflow prune`: delete runs that ended long enough ago."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from agentflow_cli.event_feed import moment
from agentflow_cli.look import look
from agentflow_cli.output import show
from agentflow_cli.shared import common_options, file_option
from agentflow_cli.terminal import say
from agentflow_kernel.errors import UsageError

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel
    from agentflow_kernel.kernel.pruning import Pruned

ENDED = ("completed", "failed", "cancelled")


@click.command("prune")
@click.option(
    "--older-than", "age", default="30d", show_default=True, metavar="TIME", help="Ended so long ago, or before."
)
@click.option(
    "--status", "statuses", default=",".join(ENDED), show_default=True, metavar="STATUS,...", help="Only these."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@file_option
@common_options
@click.pass_obj
def command(
    shared: Shared,
    age: str,
    statuses: str,
    dry_run: bool,  # noqa: FBT001 - passed by name
    file: str | None,
) -> int:
    """Delete runs that have ended, with their records, payloads and files. A run that has not ended is never deleted.

    TIME is a span (12h, 30d) or an ISO 8601 time.
    """
    chosen = [word.strip() for word in statuses.split(",") if word.strip()]
    if not chosen:
        raise UsageError(f"--status names nothing: expected some of {', '.join(ENDED)}.")
    now = time.time()
    older_than_s = now - moment(age, now, "--older-than")
    if older_than_s < 0:
        raise UsageError(f"--older-than {age!r} lies in the future.")

    async def ask(kernel: Kernel) -> Pruned:
        return await kernel.prune(older_than_s, statuses=chosen, dry_run=dry_run)

    pruned = look(shared, ask, file)
    run_ids, payloads = ([], 0) if pruned is None else (list(pruned.run_ids), pruned.blobs)
    if shared.for_people:
        say(
            f"{len(run_ids)} runs would be deleted."
            if dry_run
            else f"Deleted {len(run_ids)} runs, {payloads} payloads."
        )
    else:
        show(shared.output, {"runs": run_ids, "payloads": payloads, "dry_run": dry_run})
    return 0
