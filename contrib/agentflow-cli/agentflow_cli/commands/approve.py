"""`agentflow approve`: let a run do one thing that waits for a person, or refuse it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentflow_cli.completion import run_ids
from agentflow_cli.replies import hash_option, reply, subject_option
from agentflow_cli.shared import common_options, file_option

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared


@click.command("approve")
@click.argument("run_id", shell_complete=run_ids)
@click.argument("wait", required=False)
@click.option("--deny", is_flag=True, help="Refuses instead.")
@click.option("--reason", default="", metavar="TEXT", help="Why; the run and its planners are told.")
@subject_option
@hash_option
@file_option
@common_options
@click.pass_obj
def command(
    shared: Shared,
    /,
    run_id: str,
    wait: str | None,
    deny: bool,  # noqa: FBT001 - passed by name
    **said: str | None,
) -> int:
    """Approve what the run RUN_ID, an id or its beginning, waits to do; WAIT names it where there are several.

    The approval counts for exactly the arguments that are shown, and for nothing else.
    """
    verdict = {"approved": not deny, "reason": said["reason"] or ""}
    told = (said["subject"], said["shown"], said["file"] or "")
    return reply(shared, (run_id, wait), verdict, approval=True, said=told)
