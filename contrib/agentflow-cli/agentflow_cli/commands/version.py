"""`agentflow version`: the versions of everything that takes part; `--version` gives the command's own alone."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

import click

import agentflow_kernel
from agentflow_cli import __version__
from agentflow_cli.output import Table, show
from agentflow_cli.shared import common_options

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared


@click.command("version")
@common_options
@click.pass_obj
def command(shared: Shared) -> None:
    """Show the versions of everything that takes part."""
    document = {
        "agentflow-cli": __version__,
        "agentflow-kernel": agentflow_kernel.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "distributions": _distributions(),
    }
    named = ("agentflow-cli", "agentflow-kernel", "python", "platform")
    rows = [(name, str(document[name])) for name in named]
    rows += [(name, version) for name, version in _distributions().items() if name not in named]
    show(shared.output, document, Table(("NAME", "VERSION"), rows))


def _distributions() -> dict[str, str]:
    """The installed distributions of the framework, and those of others that follow its naming, sorted."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower().replace("_", "-")
        if name.startswith("agentflow-"):
            found.setdefault(name, distribution.version)
    return dict(sorted(found.items()))
