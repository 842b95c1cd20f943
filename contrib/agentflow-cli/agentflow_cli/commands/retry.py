"""`agentflow retry`: go on with a run that has failed, was cancelled or is stuck, as a new run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentflow_cli.completion import run_ids
from agentflow_cli.shared import common_options, file_option, progress_option
from agentflow_cli.takeover import take_over
from agentflow_cli.verdicts import who

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel, RunHandle


@click.command("retry")
@click.argument("run_id", shell_complete=run_ids)
@click.option("--from", "step", metavar="STEP", help="Execute this step and what follows it anew, too.")
@file_option
@progress_option
@common_options
@click.pass_obj
def command(shared: Shared, run_id: str, step: str | None, file: str | None) -> int:
    """Go on with the run RUN_ID, an id or its beginning, as a new run.

    What it has completed is not executed again. STEP is a path as `agentflow describe run` shows it.
    """

    async def retry(kernel: Kernel, full_id: str) -> RunHandle:
        return await kernel.retry(full_id, step, by=who())

    return take_over(shared, run_id, file, retry)
