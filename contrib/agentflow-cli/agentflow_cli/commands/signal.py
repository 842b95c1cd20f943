"""`agentflow signal`: give a run what it waits for, whichever process works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentflow_cli.completion import run_ids
from agentflow_cli.inputs import read_input
from agentflow_cli.output import Table, show
from agentflow_cli.requests import request
from agentflow_cli.shared import common_options, file_option
from agentflow_cli.terminal import say
from agentflow_kernel.kernel.requests import signal_run

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel


@click.command("signal")
@click.argument("run_id", shell_complete=run_ids)
@click.argument("name")
@click.option("--value", "text", default="null", metavar="JSON", help="What the signal carries; null if not given.")
@click.option("--id", "signal_id", metavar="ID", help="An id of your own: a signal that is sent twice counts once.")
@file_option
@common_options
@click.pass_obj
def command(
    shared: Shared,
    run_id: str,
    name: str,
    text: str,
    signal_id: str | None,
    file: str | None,
) -> int:
    """Send the signal NAME to the run RUN_ID, an id or its beginning.

    One that comes before the run waits for it is kept. A value that does not fit what the run waits for is refused.
    """
    value = read_input([text], "--value")

    async def leave(kernel: Kernel, run_id: str) -> str:
        return await signal_run(kernel, run_id, name, value, signal_id=signal_id)

    info, sent = request(shared, run_id, file, leave)
    table = Table(("RUN", "SIGNAL", "ID"), [(info.run_id, name, sent)])
    show(shared.output, {"run_id": info.run_id, "signal": name, "id": sent}, table)
    if shared.for_people and info.status == "suspended":
        say(f"Nobody works on it: `agentflow resume {info.run_id}` takes it.")
    return 0
