"""`agentflow answer`: give a run the answer that it asks a person for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentflow_cli.completion import run_ids
from agentflow_cli.inputs import read_input
from agentflow_cli.replies import hash_option, reply, subject_option
from agentflow_cli.shared import common_options, file_option

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared


@click.command("answer")
@click.argument("run_id", shell_complete=run_ids)
@click.argument("wait", required=False)
@click.option("--value", "text", required=True, metavar="JSON", help="The answer; it must fit what is asked.")
@subject_option
@hash_option
@file_option
@common_options
@click.pass_obj
def command(shared: Shared, /, run_id: str, wait: str | None, text: str, **said: str | None) -> int:
    """Answer what the run RUN_ID, an id or its beginning, asks; WAIT names it where it asks several things."""
    told = (said["subject"], said["shown"], said["file"] or "")
    return reply(shared, (run_id, wait), read_input([text], "--value"), approval=False, said=told)
