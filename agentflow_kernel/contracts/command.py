"""A command: what a distribution adds to the command line, by an entry point of the group ``agentflow.commands``.

The entry point names a ``click.Command`` (``package.module:name``); its own name is the word that calls it. Nothing is
imported until somebody does. The command line gives it the options that every command takes, and leaves what they
say in ``click.get_current_context().obj``, a :class:`CommandLine`. What the command returns is the exit code.
"""

from __future__ import annotations

from typing import Literal, Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.settings import Settings


class CommandLine(Protocol):
    """What the options that stand before or after every command say."""

    output: Literal["table", "wide", "json", "yaml", "name"]
    """The form of the answer. With ``json`` and ``yaml`` standard output holds one document and nothing else."""

    def settings(self) -> Settings:
        """What ``agentflow.toml`` says.

        Raises:
            UsageError: it cannot be used.
        """
        ...

    def state_folder(self, settings: Settings) -> str:
        """The absolute path of the state folder, which need not exist."""
        ...
