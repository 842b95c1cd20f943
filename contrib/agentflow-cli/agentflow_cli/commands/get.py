"""`agentflow get`: lists of what the state folder holds."""

from __future__ import annotations

from typing import Final

import click

from agentflow_cli.lazy import LazyGroup

KINDS: Final = {"runs": ("get_runs", "List runs, newest first.")}


@click.group("get", cls=LazyGroup, table=KINDS)
def command() -> None:
    """List what the state folder holds."""
