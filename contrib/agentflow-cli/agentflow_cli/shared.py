"""The options that several commands take, before or after the command's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.settings import Settings

    Format = Literal["table", "json", "yaml"]
    Command = Callable[..., Any]


class Shared:
    """The values of the shared options in one call of the command line; the last one given counts."""

    __slots__ = ("debug", "no_progress", "output", "state")

    def __init__(self) -> None:
        self.output: Format = "table"
        self.state: str | None = None
        self.debug = False
        self.no_progress = False

    @property
    def for_people(self) -> bool:
        """Whether standard output is read by people, so that it may hold more than one document."""
        return self.output == "table"

    def settings(self) -> Settings:
        """What `agentflow.toml` says."""
        from agentflow_kernel.settings import Settings  # lazy: only commands that need it pay

        return Settings.find()

    def state_folder(self, settings: Settings) -> str:
        """The absolute path of the state folder, which need not exist."""
        return settings.state_folder(self.state)


def output_option(command: Command) -> Command:
    """Give a command `-o`."""
    kind = click.Choice(["table", "json", "yaml"])
    return _option("-o", "--output", type=kind, help="Form of the output.  [default: table]")(command)


def state_option(command: Command) -> Command:
    """Give a command `--state`."""
    text = "State folder.  [default: $AGENTFLOW_STATE, else .agentflow]"
    return _option("--state", metavar="FOLDER", help=text)(command)


def debug_option(command: Command) -> Command:
    """Give a command `--debug`."""
    return _option("--debug", is_flag=True, default=None, help="Show the traceback of an error.")(command)


def progress_option(command: Command) -> Command:
    """Give a command `--no-progress`."""
    return _option("--no-progress", is_flag=True, default=None, help="Show no progress.")(command)


def file_option(command: Command) -> Command:
    """Give a command `--file`, passed as ``file``."""
    text = "Manifest whose own journal holds the runs.  [default: the state folder's journal]"
    return click.option("-f", "--file", metavar="PATH", help=text)(command)


def common_options(command: Command) -> Command:
    """Give a command those options that stand before any command too."""
    return output_option(state_option(debug_option(command)))


def _option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    return click.option(*names, expose_value=False, callback=_remember, **settings)


def _remember(context: click.Context, parameter: click.Parameter, value: str | bool | None) -> None:  # noqa: FBT001 - click's
    """Keep a value that was given, whatever the place it was given at."""
    if value is not None:
        setattr(cast("Shared", context.obj), str(parameter.name), value)
