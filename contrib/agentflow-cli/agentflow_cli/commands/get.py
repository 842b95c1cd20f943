"""`agentflow get`: lists of runs, of applied resources and of models."""

from __future__ import annotations

from typing import Final

import click

from agentflow_cli.kinds import RESOURCES, TO_PLURAL
from agentflow_cli.lazy import LazyGroup

KINDS: Final = {
    "runs": ("get_runs", "List runs, newest first."),
    **{each.plural: ("get_resources", f"List the applied {each.plural}.") for each in RESOURCES},
    "all": ("get_resources", "List all applied resources."),
}


@click.group("get", cls=LazyGroup, table=KINDS, aliases=TO_PLURAL, noun="kind")
def command() -> None:
    """List runs, applied resources, or what a manifest holds. A kind has a plural, a singular and a short name."""
