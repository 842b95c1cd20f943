"""A group of commands that are imported when used: listing them costs nothing, a mistyped one gets a suggestion."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from agentflow_cli.terminal import say
from agentflow_kernel.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping


class LazyGroup(click.Group):
    """A click group over a table: name of a command → (its module below `agentflow_cli.commands`, one line of help).

    The module holds the command as `command`, or several by name as `commands`. ``aliases`` are other names.
    """

    def __init__(
        self,
        *args: Any,
        table: Mapping[str, tuple[str, str]],
        aliases: Mapping[str, str] | None = None,
        noun: str = "command",
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.table = table
        self.aliases = aliases or {}
        self.noun = noun

    def summaries(self) -> dict[str, str]:
        """Each command with its line of help; nothing is imported for that."""
        return {name: summary for name, (_, summary) in self.table.items()}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments for the command; without any, the help is shown and the call is refused."""
        if not args and not ctx.resilient_parsing:
            say(ctx.get_help() + "\n")
            raise click.UsageError(f"Name what to {ctx.info_name}: {', '.join(self.summaries())}.")
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the help."""
        return list(self.summaries())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        name = self.aliases.get(cmd_name, cmd_name)
        if name not in self.table:
            return None
        module = importlib.import_module(f"agentflow_cli.commands.{self.table[name][0]}")
        commands: Mapping[str, click.Command] = getattr(module, "commands", None) or {name: module.command}
        return commands[name]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; an unknown one is refused with the nearest name."""
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and ctx.resilient_parsing:
            return None, None, args[1:]  # somebody is still typing
        if command is None:
            raise click.UsageError(f"No such {self.noun} {name!r}. {self.hint(name)}", ctx)
        return command.name, command, args[1:]

    def hint(self, name: str) -> str:
        """What to try in the place of a name that is unknown."""
        known = self.summaries()
        close = nearest(name, known)
        return f"Did you mean {close!r}?" if close else f"There are: {', '.join(known)}."

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names of the commands, and the options; nothing is imported for that."""
        names = [
            CompletionItem(name, help=summary)
            for name, summary in self.summaries().items()
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands as the help lists them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries().items()))
