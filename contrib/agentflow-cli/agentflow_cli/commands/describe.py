"""`agentflow describe`: one thing in full."""

from __future__ import annotations

from typing import Final

import click

from agentflow_cli.kinds import RESOURCES, TO_SINGULAR
from agentflow_cli.lazy import LazyGroup

KINDS: Final = {
    "run": ("describe_run", "Show the head and the timeline of a run."),
    **{each.singular: ("describe_resource", f"Show the {each.singular} of a name.") for each in RESOURCES},
}


@click.group("describe", cls=LazyGroup, table=KINDS, aliases=TO_SINGULAR, noun="kind")
def command() -> None:
    """Show one thing in full: a run, or a resource that is applied or stands in a manifest."""
