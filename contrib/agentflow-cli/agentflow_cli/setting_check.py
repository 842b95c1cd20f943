"""A setting check: the settings that a manifest gives to plugins, against what each plugin declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentflow_kernel.errors import InputInvalid, ManifestError
    from agentflow_kernel.loading import Plugins
    from agentflow_kernel.manifest import Manifest, Resource

KINDS: Final = {
    "Model": "provider",
    "Tool": "tool",
    "Memory": "memory",
    "Policy": "policy",
    "Journal": "journal",
    "Trigger": "source",
}
"""Kinds of resources that a plugin makes, with the kind of the plugin."""


def findings(manifest: Manifest, plugins: Plugins) -> list[ManifestError]:
    """All settings that a plugin would refuse, in document order.

    Imports the plugins that the manifest names, not its code. Raises what naming a plugin raises: it may not be
    admitted, or fail.
    """
    return [
        _located(manifest, resource, place, finding)
        for resource in manifest.resources
        for kind, place, spec in _plugged(resource)
        for finding in plugins.check(kind, spec["plugin"], spec.get("with", {}))
    ]


def _plugged(resource: Resource) -> Iterator[tuple[str, tuple[str, ...], Mapping[str, Any]]]:
    """The parts of a resource that a plugin makes: the plugin's kind, where the part stands, the part."""
    if resource.kind in KINDS and "plugin" in resource.spec:
        yield KINDS[resource.kind], ("spec",), resource.spec
    if resource.kind in {"Agent", "Plan"} and "plugin" in resource.spec["planner"]:
        yield "planner", ("spec", "planner"), resource.spec["planner"]


def _located(manifest: Manifest, resource: Resource, place: tuple[str, ...], finding: InputInvalid) -> ManifestError:
    """The finding at its place in the file; its path is a JSON pointer into the settings."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in finding.path.split("/")[1:]]
    steps = (*place, "with", *(int(part) if part.isdigit() else part for part in parts))
    return manifest.error(resource, steps, finding.problem)
