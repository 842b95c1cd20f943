"""A group of commands that are imported when used: listing them costs nothing, a mistyped one gets a suggestion."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click

from agentflow_cli.terminal import say
from agentflow_kernel.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping


class LazyGroup(click.Group):
    """A click group over a table: name of a command → (its module below `agentflow_cli.commands`, one line of help).

    The module holds the command as `command`.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.table = table

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments for the command; without any, the help is shown and the call is refused."""
        if not args and not ctx.resilient_parsing:
            say(ctx.get_help() + "\n")
            raise click.UsageError(f"Name what to {ctx.info_name}: {', '.join(self.table)}.")
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the table's order."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self.table:
            return None
        module = importlib.import_module(f"agentflow_cli.commands.{self.table[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; an unknown one is refused with the nearest name."""
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None:
            close = nearest(name, self.table)
            hint = f"Did you mean {close!r}?" if close else f"There are: {', '.join(self.table)}."
            raise click.UsageError(f"No such command {name!r}. {hint}", ctx)
        return name, command, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table as the help's list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.table.items()])
