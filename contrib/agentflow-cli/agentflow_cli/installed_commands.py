"""An installed command: one that another distribution adds to the command line (`agentflow.commands`).

Its name is known from metadata; it is imported when it is called, and only if `agentflow.toml` admits it.
"""

from __future__ import annotations

import click

from agentflow_cli.lazy import LazyGroup
from agentflow_cli.shared import common_options
from agentflow_kernel.errors import PluginLoadError, UsageError, pip_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.loading import Catalogue

KNOWN = frozenset(("certify",))
"""Commands of the project's own that may not be installed, so that the line that installs them can be said."""


class CommandGroup(LazyGroup):
    """The commands of the application, and those of other distributions, which cannot replace them."""

    def summaries(self) -> dict[str, str]:
        """The application's commands first, then the others with the distribution that brings each."""
        try:
            entries = _catalogue().entries("command")
        except UsageError:  # a wrong agentflow.toml must not keep the help from being shown
            entries = ()
        found = {entry.name: f"Added by {entry.distribution}." for entry in entries}
        own = super().summaries()
        return {**own, **{name: summary for name, summary in found.items() if name not in own}}

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command; one of another distribution is imported now, unless somebody is still typing."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or ctx.resilient_parsing:
            return own
        from agentflow_kernel.loading import Plugins  # lazy: 20 ms, only for installed commands

        catalogue = _catalogue()
        entry = catalogue.find("command", cmd_name)
        if entry is None:
            return None
        found = Plugins(catalogue).load("command", cmd_name)
        if not isinstance(found, click.Command):
            cause = f"{entry.value!r} is {type(found).__name__}, not a click.Command"
            raise PluginLoadError(entry.name, entry.distribution, entry.version, cause)
        found.name = cmd_name
        _add_common_options(found)
        return found

    def hint(self, name: str) -> str:
        """For a command of the project that is not installed, the line that installs it."""
        return f"To add it: {pip_line('command', name)}" if name in KNOWN else super().hint(name)


def _catalogue() -> Catalogue:
    """What is installed, as this working directory's settings admit it."""
    from agentflow_kernel.loading import Catalogue  # lazy: 20 ms, only for help and installed commands
    from agentflow_kernel.settings import Settings

    return Catalogue(Settings.find())


@click.command()
@common_options
def _bare() -> None:
    """Nothing: a command that has only the options of all commands."""


def _add_common_options(command: click.Command) -> None:
    """Give a command the options of all commands; those that it has itself stay its own."""
    taken = {name for parameter in command.params for name in parameter.opts}
    command.params += [parameter for parameter in _bare.params if not taken & set(parameter.opts)]
