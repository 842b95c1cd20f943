"""An inspection: the flows of a manifest checked together with their code, without making or running anything else."""

from __future__ import annotations

from agentflow_kernel.errors import FlowInvalid, ManifestErrors, UntrustedCode, UsageError
from agentflow_kernel.flow.node import Node
from agentflow_kernel.kernel.code import CodeLoader
from agentflow_kernel.kernel.composition import Composition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_kernel.contracts.policy import Policy
    from agentflow_kernel.errors import ManifestError
    from agentflow_kernel.manifest import Manifest, Resource
    from agentflow_kernel.settings import Settings


class Inspection:
    """``findings`` are in the order of the flows; ``unchecked`` are pairs of a flow and a file that may not run."""

    __slots__ = ("findings", "unchecked")

    def __init__(self) -> None:
        self.findings: list[ManifestError] = []
        self.unchecked: list[tuple[str, str]] = []


def inspect_flows(manifest: Manifest, settings: Settings, *, trusted: bool = False) -> Inspection:
    """Everything that is wrong with flows once their code is known: types along edges, keys, options at functions.

    Imports the code that ``settings`` allow, all of it where it is ``trusted``; makes no plugin, agent or tool.
    """
    sketches = _Sketches(manifest, CodeLoader(manifest.folder, settings, trusted=trusted))
    for resource in manifest.of("Flow"):
        try:
            sketches.flow(resource.name).check()
        except FlowInvalid as error:
            for finding in error.findings:
                where = ("spec", *getattr(finding, "where", ()))
                sketches.found.findings.append(manifest.error(resource, where, f"{finding[0].upper()}{finding[1:]}."))
        except ManifestErrors as error:
            known = {
                str(finding) for finding in sketches.found.findings
            }  # a nested flow is met again at each of its nodes
            sketches.found.findings += [finding for finding in error.findings if str(finding) not in known]
        except UsageError as error:
            sketches.found.findings.append(manifest.error(resource, ("spec",), str(error)))
    return sketches.found


class _Unknown(Node):
    """Stands for code that may not be loaded, which may be and do anything."""

    def __call__(self, *values: object) -> None:
        """It may be a reducer, too."""


class _Made:
    """Stands for an agent or a tool, with what is known of its result."""

    def __init__(self, kind: str, output_schema: Mapping[str, Any] | None = None) -> None:
        self.kind, self.output_schema = kind, output_schema

    async def perform(self, context: object, value: object) -> object:
        """Never called."""
        raise UsageError("An inspection runs nothing.")


class _Sketches(Composition):
    """The flows of a manifest with their code, and nothing that a plugin makes."""

    def __init__(self, manifest: Manifest, code: CodeLoader) -> None:
        super().__init__(manifest, None)  # type: ignore[arg-type]  # nothing is made that would need it
        self._loader = code
        self.found = Inspection()

    def _code(self, resource: Resource, place: str, reference: str) -> object:
        try:
            return self._loader.load(reference, resource.folder)
        except UntrustedCode:
            unchecked = (resource.name, reference.rpartition(":")[0])
            if unchecked not in self.found.unchecked:
                self.found.unchecked.append(unchecked)
            return _Unknown()
        except UsageError as error:  # not there, or it fails when it is imported
            raise ManifestErrors([self.manifest.error(resource, place, str(error))]) from error

    def _policies(self, names: list[str]) -> list[Policy]:
        return []

    def _target(self, resource: Resource, place: str, node: Mapping[str, Any]) -> object:
        if "plan" in node:
            return _Made("agent")
        if "agent" in node:
            return _Made("agent", self.manifest.get("Agent", node["agent"]).spec.get("output_schema"))
        return _Made("tool") if "tool" in node else super()._target(resource, place, node)
