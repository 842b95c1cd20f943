"""`agentflow plan`: what there is to know of a plan before it runs."""

from __future__ import annotations

from typing import Final

import click

from agentflow_cli.lazy import LazyGroup

VERBS: Final = {"show": ("plan_show", "Show the steps of a plan, its findings, and what it may cost at worst.")}


@click.group("plan", cls=LazyGroup, table=VERBS, noun="command")
def command() -> None:
    """Look at a plan before it runs."""
