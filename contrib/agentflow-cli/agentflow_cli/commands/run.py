"""`agentflow run`: work through what a trigger's source holds, or run a flow or an agent once."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from agentflow_cli.completion import runnable
from agentflow_cli.failure import InputUnusable
from agentflow_cli.inputs import read_input, read_settings
from agentflow_cli.session import Session
from agentflow_cli.shared import common_options, progress_option
from agentflow_cli.targets import choose, found_applied, path_of
from agentflow_kernel import Kernel
from agentflow_kernel.errors import InputInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_cli.session import Begin
    from agentflow_cli.shared import Shared
    from agentflow_kernel import RunHandle
    from agentflow_kernel.manifest import Manifest, Resource


@click.command("run")
@click.argument("path", shell_complete=runnable)
@click.argument("name", required=False)
@click.option(
    "-i",
    "--input",
    "inputs",
    multiple=True,
    help="JSON, @file.json, - for standard input, or key=value; may be repeated. "
    "For a trigger these are settings of its source.",
)
@click.option("--model", help="A model in the place of all agents' models: <provider>/<model>.")
@click.option("--trust-code", is_flag=True, help="Let the manifest's own code run, now and when the run is resumed.")
@progress_option
@common_options
@click.pass_obj
def command(
    shared: Shared,
    path: str,
    name: str | None,
    inputs: Sequence[str],
    model: str | None,
    trust_code: bool,  # noqa: FBT001 - passed by name
) -> int:
    """Run NAME of the manifest at PATH, a file or a folder; or, without PATH, what is applied under that name.

    NAME is `trigger/x`, `flow/x` or `agent/x`, or only `x` where nothing else is called that. Without it, the only
    trigger is run; where there is none, the only flow; where there is none, the only agent.
    """
    settings = shared.settings()
    state = shared.state_folder(settings)
    if name is None:
        path, name = found_applied(path, state)
    kernel = Kernel.from_manifest(
        path, settings=settings, state=state, journal=settings.journal, trust_code=trust_code, model=model
    )
    target = choose(cast("Manifest", kernel.manifest), name)  # the kernel was made from one
    begin = _fire(target, inputs) if target.kind == "Trigger" else _start(target, inputs)
    return Session(shared, until_rest="signal" in target.spec).carry_out([(kernel, begin)])


def _fire(target: Resource, inputs: Sequence[str]) -> Begin:
    """Read the trigger's source to its end."""
    overrides = read_settings(inputs, "--input")

    async def begin(kernel: Kernel) -> Sequence[RunHandle]:
        try:
            return await kernel.fire(path_of(target), overrides=overrides)
        except InputInvalid as error:  # settings that are wrong are findings in the manifest: this is what was read
            raise InputUnusable(error) from error

    return begin


def _start(target: Resource, inputs: Sequence[str]) -> Begin:
    """Start the flow or agent once."""
    value = read_input(inputs)

    async def begin(kernel: Kernel) -> Sequence[RunHandle]:
        return [await kernel.start(path_of(target), value)]

    return begin
