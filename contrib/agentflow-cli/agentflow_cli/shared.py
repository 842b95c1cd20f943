"""The options that several commands take, before or after the command's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import click
from click.shell_completion import CompletionItem

from agentflow_cli import terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.settings import Settings

    Format = Literal["table", "wide", "json", "yaml", "name"]
    Command = Callable[..., Any]


class Shared:
    """The values of the shared options in one call of the command line; the last one given counts."""

    __slots__ = ("debug", "log_format", "log_level", "no_progress", "output", "state")

    def __init__(self) -> None:
        self.output: Format = "table"
        self.state: str | None = None
        self.debug = False
        self.no_progress = False
        self.log_level: str | None = None
        self.log_format: str | None = None

    @property
    def for_people(self) -> bool:
        """Whether standard output is read by people, so that it may hold more than one document."""
        return self.output in {"table", "wide"}

    def set_log(self) -> None:
        """Let the log be as these options say; where they say nothing, the environment counts."""
        from agentflow_kernel import telemetry  # lazy: only where it is asked for

        telemetry.set_log_level(self.log_level or ("debug" if self.debug else None))
        telemetry.set_log_format(self.log_format)

    def settings(self) -> Settings:
        """What `agentflow.toml` says."""
        from agentflow_kernel.settings import Settings  # lazy: only commands that need it pay

        return Settings.find()

    def state_folder(self, settings: Settings) -> str:
        """The absolute path of the state folder, which need not exist."""
        return settings.state_folder(self.state)


FORMS = ("table", "json", "yaml")
LIST_FORMS = ("table", "wide", "json", "yaml", "name")
"""Forms of lists: with more columns, or only with what names each thing, too."""


def output_option(*forms: str) -> Callable[[Command], Command]:
    """Give a command `-o` with these forms."""
    text = "Form of the output.  [default: table]"
    return click.option(
        "-o", "--output", type=click.Choice(forms), expose_value=False, callback=_remember_form, help=text
    )


def files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leaves the completion of a file's name to the shell."""
    return [CompletionItem(incomplete, type="file")]


def folders(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leaves the completion of a folder's name to the shell."""
    return [CompletionItem(incomplete, type="dir")]


def state_option(command: Command) -> Command:
    """Give a command `--state`."""
    text = "State folder.  [default: $AGENTFLOW_STATE, else .agentflow]"
    return _option("--state", metavar="FOLDER", shell_complete=folders, help=text)(command)


def debug_option(command: Command) -> Command:
    """Give a command `--debug`."""
    return _option("--debug", is_flag=True, default=None, help="Show the traceback of an error, and log everything.")(
        command
    )


def log_options(command: Command) -> Command:
    """Give a command `--log-level` and `--log-format`."""
    levels, forms = click.Choice(["debug", "info", "warning", "error"]), click.Choice(["plain", "json"])
    level = _option("--log-level", type=levels, help="Log from this level on.  [default: $AGENTFLOW_LOG, else warning]")
    form = _option("--log-format", type=forms, help="Form of the log.  [default: $AGENTFLOW_LOG_FORMAT, else plain]")
    return level(form(command))


def colour_option(command: Command) -> Command:
    """Give a command `--color`."""
    kind = click.Choice(["auto", "always", "never"])
    text = "Colours: auto is where a terminal is, unless $NO_COLOR or $FORCE_COLOR is set.  [default: auto]"
    return _option("--color", type=kind, help=text)(command)


def progress_option(command: Command) -> Command:
    """Give a command `--no-progress`."""
    return _option("--no-progress", is_flag=True, default=None, help="Show no progress.")(command)


def file_option(command: Command) -> Command:
    """Give a command `--file`, passed as ``file``."""
    text = "Manifest whose own journal holds the runs.  [default: the state folder's journal]"
    return click.option("-f", "--file", metavar="PATH", shell_complete=files, help=text)(command)


def files_option(text: str, *, required: bool = False) -> Callable[[Command], Command]:
    """Give a command `--file` for manifests, which may be repeated, passed as ``files``."""
    return click.option(
        "-f", "--file", "files", multiple=True, required=required, metavar="PATH", shell_complete=files, help=text
    )


def watch_options(command: Command) -> Command:
    """Give a command `--watch` and `--interval`, passed as ``watching`` and ``interval_s``."""
    interval = click.option(
        "--interval",
        "interval_s",
        type=click.FloatRange(min=0.05),
        default=1.0,
        show_default=True,
        metavar="SECONDS",
        help="How often --watch looks.",
    )
    text = "Look again and again until Ctrl-C: redrawn on a terminal, changed rows elsewhere."
    return click.option("-w", "--watch", "watching", is_flag=True, help=text)(interval(command))


def common_options(command: Command) -> Command:
    """Give a command those options that stand before any command too."""
    return output_option(*FORMS)(other_options(command))


def list_options(command: Command) -> Command:
    """Give a command the common options, with the forms of lists."""
    return output_option(*LIST_FORMS)(other_options(command))


def other_options(command: Command) -> Command:
    """Give a command the common options but `-o`."""
    return state_option(debug_option(log_options(colour_option(command))))


def _option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    return click.option(*names, expose_value=False, callback=_remember, **settings)


def _remember(context: click.Context, parameter: click.Parameter, value: str | bool | None) -> None:  # noqa: FBT001 - click's
    """Keep a value that was given, whatever the place it was given at."""
    if value is None:
        return
    shared, name = cast("Shared", context.obj), str(parameter.name)
    if name == "color":
        terminal.choose_colour(cast("terminal.Colour", value))
        return
    setattr(shared, name, value)
    if name in {"debug", "log_level", "log_format"}:
        shared.set_log()


def _remember_form(context: click.Context, parameter: click.Parameter, value: Format | None) -> None:
    """Keep the form; one that was given before the command has to be a form of the command."""
    shared = cast("Shared", context.obj)
    forms = cast("click.Choice[str]", parameter.type).choices
    if value is not None:
        shared.output = value
    elif shared.output not in forms:
        raise click.UsageError(f"-o {shared.output} is no form of this command; it has {', '.join(forms)}.", context)
