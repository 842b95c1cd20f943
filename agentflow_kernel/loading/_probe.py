"""A probe: tries the entries behind one entry point in a process of its own; run as ``python -m`` by the doctor.

Arguments: the file descriptor to answer on, and a JSON object with ``path`` (``sys.path``) and ``entries``. Each answer
is one line of JSON; the last has ``done``. Standard output and error belong to the plugin.
"""

from __future__ import annotations

import json
import os
import sys

from agentflow_kernel.errors import AgentFlowError, Unsupported
from agentflow_kernel.hooks import Hooks
from agentflow_kernel.loading._catalogue import Catalogue, Entry
from agentflow_kernel.loading._isolation import cause_of, resolve
from agentflow_kernel.loading._plugins import Plugins
from agentflow_kernel.loading._scan import Offer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Answer = Callable[..., None]

_NAMES_SHOWN = 20


def main(descriptor: int, request: str) -> None:
    """Answer a request, then end the process at once, whatever threads and exit handlers the plugin left."""
    os.set_inheritable(descriptor, False)  # what the plugin starts must not hold the line open

    def answer(**fields: object) -> None:
        os.write(descriptor, json.dumps(fields).encode() + b"\n")

    try:
        asked = json.loads(request)
        sys.path[:] = asked["path"]
        entries = [Entry(Offer(kind, name, value, (dist, version, location))) for kind, name, value, dist, version, location in asked["entries"]]
        failed = _try(entries, answer)
        answer(done=True, failed=failed)
    finally:
        os._exit(0)


def _try(entries: list[Entry], answer: Answer) -> list[tuple[str, str, str]]:
    """Kind, name and cause of each entry that cannot be used; costs are answered on the way."""
    plugins = Plugins(Catalogue.of(entries))
    Hooks()  # what pluggy loads is not the plugin's
    before = set(sys.modules)
    failed = []
    answer(stage="at import")
    for entry in entries:
        try:
            plugins.load(entry.kind, entry.name)
            answer(stage="in its hook")
            spec = plugins.spec(entry.kind, entry.name)
        except Unsupported:
            continue  # a kind without hook: that it can be imported is all there is to know
        except BaseException as exc:
            failed.append((entry.kind, entry.name, getattr(exc, "cause", None) or cause_of(exc, "at import")))
            continue
        answer(**_cost(entry, set(sys.modules) - before))
        for reference in (spec.factory, spec.settings):
            ...
    return failed
