"""The application: the table of commands, and the one way in which every one of them starts and ends."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

import click

from agentflow_cli import __version__, failure, terminal
from agentflow_cli.installed_commands import CommandGroup
from agentflow_cli.shared import Shared, list_options

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = {
    "run": ("run", "Run a trigger, a flow or an agent."),
    "resume": ("resume", "Go on with a run that was suspended or whose process is gone."),
    "retry": ("retry", "Go on with a run that failed, was cancelled or is stuck, as a new run."),
    "fork": ("fork", "Copy a run; the copy goes on from a step, or with another input."),
    "worker": ("worker", "Go on with what other workers leave, until told to stop."),
    "prune": ("prune", "Delete runs that ended long ago."),
    "compact": ("compact", "Delete what runs have on record before their last snapshot."),
    "cancel": ("cancel", "End a run for good."),
    "signal": ("signal", "Give a run what it waits for."),
    "approve": ("approve", "Let a run do what waits for a person, or refuse it."),
    "answer": ("answer", "Answer what a run asks."),
    "simulate": ("simulate", "Run a flow for many seeds in a simulated world with faults."),
    "validate": ("validate", "Check a manifest without running anything."),
    "graph": ("graph", "Draw a flow, and where a run of it stands."),
    "plan": ("plan", "Look at a plan before it runs."),
    "apply": ("apply", "Keep the resources of a manifest in the state folder."),
    "delete": ("delete", "Delete applied resources."),
    "get": ("get", "List runs, applied resources or models."),
    "describe": ("describe", "Show one thing in full."),
    "events": ("events", "Show what runs have emitted and done, or follow it."),
    "plugins": ("plugins", "List the installed plugins, from metadata alone."),
    "tools": ("tools", "List the toolsets, or the tools of one."),
    "lock": ("lock", "Pin the plugins that may be imported, in agentflow.toml."),
    "init": ("init", "Write the files of a new plugin."),
    "doctor": ("doctor", "Examine this installation and its state folder."),
    "completion": ("completion", "Print the script that completes words in a shell."),
    "version": ("version", "Show the versions of everything that takes part."),
}


COMPLETE: Final = "_AGENTFLOW_COMPLETE"
"""The variable by which a shell asks for completions; the script of `agentflow completion` sets it."""

ENDING_S: Final = 0.25
"""How long threads that are left at the end may take to end too."""


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    if wanted:
        terminal.write(f"agentflow {__version__}\n")
        context.exit()


@click.group(
    cls=CommandGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version.",
)
@list_options
def agentflow() -> None:
    """Event-driven agents made of plugins: run them, resume them, look at them."""


def leave(code: int) -> int:
    """The exit code, unless a thread would keep the process from ending: then the process ends here.

    A node's function that runs in a thread cannot be stopped; its run has given it up by now. Threads that are just
    ending have a moment for it: a process that ends here calls nobody who wanted to be called at its exit.
    """
    others = [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
    end = time.monotonic() + ENDING_S
    for thread in others:
        thread.join(max(end - time.monotonic(), 0.0))
    if any(thread.is_alive() for thread in others):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or nobody reads
                stream.flush()
        os._exit(code)
    return code


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code: 0 done, 1 failed, 2 wrong usage or manifest, 130 interrupted."""
    terminal.prepare()
    shared = Shared()
    if COMPLETE in os.environ:
        from agentflow_cli.completion import answer  # lazy: only where a shell asks

        return answer(agentflow, os.environ[COMPLETE])
    try:
        result = agentflow.main(list(arguments) or ["--help"], prog_name="agentflow", standalone_mode=False, obj=shared)
    except BaseException as error:  # noqa: BLE001 - the border of the program: every error becomes a line and a code
        if failure.interrupts(error):
            terminal.say("Interrupted.")
            return failure.INTERRUPTED
        return failure.report(error, debug=shared.debug or "--debug" in arguments)
    finally:
        if shared.log_level or shared.log_format or shared.debug:
            Shared().set_log()  # whoever calls this again in the same process gave other options
    return result if isinstance(result, int) else 0
