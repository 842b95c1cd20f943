"""A target: the trigger, flow, agent or plan of a manifest that a command is to run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from agentflow_kernel.errors import UsageError
from agentflow_kernel.kernel.applied import PREFIX, AppliedResources

if TYPE_CHECKING:
    from agentflow_kernel.manifest import Manifest, Resource

RUNNABLE: Final = ("Trigger", "Flow", "Agent", "Plan")
"""Kinds that can be run, in the order in which one is chosen where none is named."""


def choose(manifest: Manifest, name: str | None) -> Resource:
    """The resource that is named, or the only one of the first runnable kind that the manifest has.

    Raises :class:`UnknownName` for a name that nothing or more than one thing has, :class:`UsageError` where nothing
    is named and the choice is not clear, or where a trigger waits for the bus and has nothing to be read.
    """
    if name is not None:
        return _with_source(manifest.resolve(name, RUNNABLE))
    for kind in RUNNABLE:
        found = [resource for resource in manifest.of(kind) if "on" not in resource.spec]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"{len(found)} {kind}s could be run: name one of {_listed(manifest)}.")
    raise UsageError(f"The manifest has nothing to run: expected a {', '.join(RUNNABLE[:-1])} or {RUNNABLE[-1]}.")


def found_applied(path: str, state: str) -> tuple[str, str | None]:
    """Path and name of what a single word means: a manifest if one is there, else an applied resource.

    Raises :class:`UnknownName` where neither is there, but something is applied.
    """
    applied = path.startswith(PREFIX)
    if not applied and os.path.lexists(path):
        return path, None
    index = AppliedResources(state).index()
    if not applied and not index.resources:
        return path, None  # the reading says that there is no such file
    key = index.get(path.removeprefix(PREFIX), RUNNABLE).key
    return f"{PREFIX}{key}", key


def path_of(resource: Resource) -> str:
    """How a resource is named on the command line: `flow/triage`."""
    return f"{resource.kind.lower()}/{resource.name}"


def _with_source(resource: Resource) -> Resource:
    if resource.kind == "Trigger" and "on" in resource.spec:
        flow = resource.spec["start"]
        raise UsageError(
            f"{path_of(resource)} starts at events of type {resource.spec['on']!r} on the bus; it has no source to be "
            f"read to its end. Run what it starts: {flow}."
        )
    return resource


def _listed(manifest: Manifest) -> str:
    return ", ".join(path_of(resource) for kind in RUNNABLE for resource in manifest.of(kind))
