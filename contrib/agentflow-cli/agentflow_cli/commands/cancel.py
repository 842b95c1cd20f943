"""`agentflow cancel`: end a run for good, whichever process works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentflow_cli.completion import run_ids
from agentflow_cli.output import Table, show
from agentflow_cli.requests import request
from agentflow_cli.shared import common_options, file_option
from agentflow_cli.terminal import say
from agentflow_kernel.kernel.requests import cancel_run

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared


@click.command("cancel")
@click.argument("run_id", shell_complete=run_ids)
@file_option
@common_options
@click.pass_obj
def command(shared: Shared, run_id: str, file: str | None) -> int:
    """End the run RUN_ID, an id or its beginning, for good.

    The request is left in the state folder, or in the database that workers share. The process that works on the run
    takes it within a second; a run that nobody works on ends when it is resumed.
    """
    info, left = request(shared, run_id, file, cancel_run)
    show(shared.output, {"run_id": info.run_id, "request": left}, Table(("RUN", "ASKED"), [(info.run_id, "cancel")]))
    if shared.for_people and info.status == "suspended":
        say(f"Nobody works on it: `agentflow resume {info.run_id}` ends it.")
    return 0
