"""`agentflow doctor`: examine the installation; plugins are imported in child processes, so that none can do harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentflow_cli.checkup import examine
from agentflow_cli.failure import FAILED
from agentflow_cli.fitting import Fit
from agentflow_cli.output import Table, show
from agentflow_cli.shared import common_options
from agentflow_cli.terminal import answer_only, say

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared


@click.command("doctor")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Seconds that each plugin has to be imported.",
)
@common_options
@click.pass_obj
def command(shared: Shared, timeout_s: float) -> int:
    """Examine Python, settings, plugins, state folder and journal; ends with 1 if there is a problem."""
    with answer_only(for_people=shared.for_people):
        checks = examine(shared, timeout_s)
    problems = sum(check.result == "problem" for check in checks)
    names = ("check", "result", "plugin", "distribution", "version", "detail")
    document = {
        "problems": problems,
        "checks": [{name: getattr(check, name) for name in names} for check in checks],
    }
    rows = [
        (check.check, check.result, check.plugin, f"{check.distribution} {check.version}".strip(), check.detail)
        for check in checks
    ]
    show(
        shared.output,
        document,
        Table(("CHECK", "RESULT", "PLUGIN", "DISTRIBUTION", "DETAIL"), rows, fit=Fit(kept=("RESULT",))),
    )
    if problems:
        say(f"{problems} problem{'' if problems == 1 else 's'} found.")
    return FAILED if problems else 0
