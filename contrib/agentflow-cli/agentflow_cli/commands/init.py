"""`agentflow init`: write the files of something new."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from agentflow_cli.output import Table, show
from agentflow_cli.scaffold import KINDS, PREFIX, plugin_files, write
from agentflow_cli.shared import common_options, folders
from agentflow_cli.terminal import say

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared


@click.command("init")
@click.argument("what", type=click.Choice(["plugin"]))
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), required=True, help="What the plugin is.")
@click.option(
    "--folder", metavar="FOLDER", shell_complete=folders, help="Where it goes.  [default: agentflow-NAME, here]"
)
@common_options
@click.pass_obj
def command(shared: Shared, what: str, name: str, kind: str, folder: str | None) -> None:
    """Write a plugin distribution that works as it is: `agentflow init plugin my-store --kind memory`.

    Nothing that is there is overwritten.
    """
    content = plugin_files(kind, name)
    plugin = name.removeprefix(PREFIX)
    place = os.path.abspath(folder or PREFIX + plugin)
    write(place, content)
    document = {"distribution": PREFIX + plugin, "kind": kind, "folder": place, "files": list(content)}
    show(shared.output, document, Table(("FILE",), [(path,) for path in content]))
    say(f"Written to {place}. Go on there with the README: install it, run nox, put your {kind} in.")
