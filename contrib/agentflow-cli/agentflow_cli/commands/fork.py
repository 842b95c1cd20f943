"""`agentflow fork`: a copy of a run that goes on by itself, from a step on or with another input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentflow_cli.completion import run_ids
from agentflow_cli.inputs import read_input
from agentflow_cli.shared import common_options, file_option, progress_option
from agentflow_cli.takeover import take_over
from agentflow_cli.verdicts import who

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel, RunHandle


@click.command("fork")
@click.argument("run_id", shell_complete=run_ids)
@click.option("--at", "step", metavar="STEP", help="Go on at this step.  [default: where the run stands]")
@click.option("-i", "--input", "inputs", multiple=True, metavar="INPUT", help="Another input, as with `run`.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="A member of the input to replace.")
@file_option
@progress_option
@common_options
@click.pass_obj
def command(
    shared: Shared, run_id: str, step: str | None, inputs: Sequence[str], changes: Sequence[str], file: str | None
) -> int:
    """Copy the run RUN_ID, an id or its beginning; the copy goes on, the run stays as it is.

    STEP is a path as `agentflow describe run` shows it. With another input and no STEP the copy begins anew; with STEP
    what is on record before it stands.
    """
    given = read_input(inputs) if inputs else None
    changed = read_input(changes) if changes else None

    async def fork(kernel: Kernel, full_id: str) -> RunHandle:
        if not inputs and not changes:
            return await kernel.fork(full_id, step, by=who())
        value = given
        if not inputs:
            (started, *_) = await kernel.history(full_id, whole=True)
            value = started.payload["input"] if isinstance(started.payload, dict) else None
        if changes:
            if not isinstance(value, dict) or not isinstance(changed, dict):
                raise click.UsageError("--set replaces members of an object; the input is none. Give --input.")
            value = {**value, **changed}
        return await kernel.fork(full_id, step, value=value, by=who())

    return take_over(shared, run_id, file, fork)
