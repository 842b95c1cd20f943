"""A probe: tries the entries behind one entry point, in a process of its own that the doctor starts.

Each answer is one line of JSON; the last has ``done``. Standard output and error belong to the plugin.
"""

from __future__ import annotations

import json
import os
import sys

from agentflow_kernel.errors import PluginLoadError, Unsupported
from agentflow_kernel.hooks import Hooks
from agentflow_kernel.loading._catalogue import Catalogue, Entry
from agentflow_kernel.loading._isolation import cause_of, resolve
from agentflow_kernel.loading._plugins import Plugins
from agentflow_kernel.loading._scan import Offer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentflow_kernel.contracts.plugin import PluginSpec

    Answer = Callable[..., None]


def main(descriptor: int, entries: list[tuple[str, str, str, tuple[str, str, str]]]) -> None:
    """Try entries, answer on ``descriptor``, then end the process, whatever threads and exit handlers were left."""
    os.set_inheritable(descriptor, False)  # what the plugin starts must not hold the line open

    def answer(**fields: object) -> None:
        os.write(descriptor, json.dumps(fields).encode() + b"\n")

    try:
        _try([Entry(Offer(kind, name, value, source)) for kind, name, value, source in entries], answer)
        answer(done=True)
    finally:
        os._exit(0)


def _try(entries: list[Entry], answer: Answer) -> None:
    """Import, register and ask; then, apart from that, import what the specs name."""
    plugins = Plugins(Catalogue.of(entries))
    Hooks()  # what pluggy loads is not the plugin's
    before = set(sys.modules)
    specs: list[tuple[Entry, PluginSpec]] = []
    for entry in entries:
        try:
            answer(stage="at import")
            plugins.load(entry.kind, entry.name)
            answer(stage="in its hook")
            specs.append((entry, plugins.spec(entry.kind, entry.name)))
        except Unsupported:  # a kind without hook: that it can be imported is all there is to know
            continue
        except PluginLoadError as exc:
            answer(kind=entry.kind, name=entry.name, failed=exc.cause)
        except BaseException as exc:  # noqa: BLE001 -- the doctor wants to hear of everything
            answer(kind=entry.kind, name=entry.name, failed=cause_of(exc, "at import"))
    if specs:
        answer(**_cost(set(sys.modules) - before, entries[0].value))
    for entry, spec in specs:
        for role, reference in (("factory", spec.factory), ("settings", spec.settings)):
            answer(stage=f"when its {role} {reference!r} is imported")
            try:
                if reference is not None:
                    resolve(reference)
            except BaseException as exc:  # noqa: BLE001 -- the doctor wants to hear of everything
                answer(kind=entry.kind, name=entry.name, failed=cause_of(exc, f"in its {role} {reference!r}"))


def _cost(loaded: Iterable[str], value: str) -> dict[str, object]:
    """How many modules registration loaded, and which libraries are among them."""
    names = list(loaded)
    own = {value.partition(":")[0].partition(".")[0], "agentflow_kernel", "pluggy"}
    tops = {name.partition(".")[0] for name in names} - own - sys.stdlib_module_names
    return {"modules": len(names), "libraries": sorted(tops)[:20]}
