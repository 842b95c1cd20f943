"""`agentflow describe`: one thing in full."""

from __future__ import annotations

from typing import Final

import click

from agentflow_cli.lazy import LazyGroup

KINDS: Final = {"run": ("describe_run", "Show the head and the timeline of a run.")}


@click.group("describe", cls=LazyGroup, table=KINDS)
def command() -> None:
    """Show one thing in full."""
