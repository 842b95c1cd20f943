"""Completion: the scripts for shells, the answers to what they ask, and the names that can be completed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from agentflow_cli.app import COMPLETE
from agentflow_cli.shared import Shared
from agentflow_cli.terminal import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentflow_kernel import Kernel

    Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

_CLASSES: Final[dict[str, type[ShellComplete]]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
SHELLS: Final = tuple(_CLASSES)
RUNS_OFFERED: Final = 50
"""So many of the newest runs are offered."""


def script(shell: str) -> str:
    """The script for a shell; it asks this command for the words."""
    complete = _CLASSES[shell](click.Group(), {}, "agentflow", COMPLETE)
    return complete.source_template % complete.source_vars() + "\n"


def answer(group: click.Group, instruction: str) -> int:
    """Answer a shell: one completion a line. A fault on the way is no completion, never a traceback."""
    shell, _, verb = instruction.partition("_")
    if shell not in _CLASSES or verb != "complete":
        return 1
    try:
        found = _CLASSES[shell](group, {"obj": Shared()}, "agentflow", COMPLETE).complete()
    except (Exception, SystemExit):  # noqa: BLE001 - somebody is in the middle of typing a line
        return 1
    write(found + "\n" if found else "")
    return 0


def names_of(kind: str = "") -> Completer:
    """Completes the names of applied resources of one kind."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _items(_names(_state(context), kind), incomplete)

    return complete


def runnable(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completes what is applied and can be run, and files."""
    keys = [key for key in _keys(_state(context)) if key.startswith(("trigger/", "flow/", "agent/", "plan/"))]
    return [*_files(incomplete), *_items(keys, incomplete)]  # bash forgets what stands before a file


def resource_words(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completes KIND NAME... and KIND/NAME...: kinds first, then names of that kind."""
    from agentflow_cli.kinds import RESOURCES, find_kind  # lazy: only where somebody types

    given = context.params.get(str(parameter.name)) or ()
    if given and "/" not in given[0]:
        return _items(_names(_state(context), find_kind(given[0]).kind), incomplete)
    if "/" in incomplete or given:
        return _items(_keys(_state(context)), incomplete)
    return _items([each.singular for each in RESOURCES], incomplete)


def run_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completes the ids of the newest runs, with name and status."""
    from agentflow_cli.look import look  # lazy: 40 ms, brings the event loop

    async def ask(kernel: Kernel) -> list[CompletionItem]:
        infos = await kernel.runs(limit=RUNS_OFFERED)
        return [CompletionItem(info.run_id, help=f"{info.name} {info.status}") for info in infos]

    found = look(_shared(context), ask) or []
    return [item for item in found if str(item.value).startswith(incomplete)]


def _shared(context: click.Context) -> Shared:
    """The options typed so far."""
    return context.find_object(Shared) or Shared()


def _state(context: click.Context) -> str:
    shared = _shared(context)
    return shared.state_folder(shared.settings())


def _names(state: str, kind: str) -> list[str]:
    from agentflow_kernel.kernel.applied import AppliedResources  # lazy: only where somebody types

    return [each.name for each in AppliedResources(state).index().resources.values() if each.kind == kind]


def _keys(state: str) -> list[str]:
    from agentflow_kernel.kernel.applied import AppliedResources  # lazy: only where somebody types

    return list(AppliedResources(state).index().resources)


def _items(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _files(incomplete: str) -> list[CompletionItem]:
    """The marker by which a shell is told to complete files itself, where there may be one of this name."""
    folder, beginning = os.path.split(incomplete)
    try:
        there = any(name.startswith(beginning) for name in os.listdir(folder or "."))
    except OSError:
        there = False
    return [CompletionItem(incomplete, type="file")] if there else []
