"""`agentflow worker`: serve the flows of a manifest until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentflow_cli.serving import Serving
from agentflow_cli.shared import other_options
from agentflow_kernel import Kernel

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared


@click.command("worker")
@click.option("-f", "--file", "path", required=True, metavar="PATH", help="Manifest, a file or a folder.")
@click.option("--model", help="A model in the place of all agents' models: <provider>/<model>.")
@click.option("--trust-code", is_flag=True, help="Let the manifest's own code run.")
@other_options
@click.pass_obj
def command(
    shared: Shared,
    path: str,
    model: str | None,
    trust_code: bool,  # noqa: FBT001 - passed by name
) -> int:
    """Go on with runs of the manifest's flows and agents whose process is gone, until Ctrl-C or SIGTERM.

    Told to stop, it takes nothing more, breaks off the steps under way and hands each run over after its last record:
    another worker goes on with it. The exit code is 0 then.
    """
    settings = shared.settings()
    state = shared.state_folder(settings)
    kernel = Kernel.from_manifest(
        path, settings=settings, state=state, journal=settings.journal, trust_code=trust_code, model=model
    )
    return Serving().carry_out(kernel)
