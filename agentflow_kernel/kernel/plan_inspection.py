"""A plan inspection: the plans of a manifest checked by their planners, before any run and without a model."""

from __future__ import annotations

from random import Random

from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.planner import PlanScope
from agentflow_kernel.errors import ManifestErrors, PlanInvalid, UntrustedCode
from agentflow_kernel.flow.asking import schema_problems
from agentflow_kernel.kernel.code import CodeLoader
from agentflow_kernel.kernel.composition import Composition, Environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.planner import Planner
    from agentflow_kernel.contracts.tool import Tool
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.drawing import Picture
    from agentflow_kernel.errors import ManifestError
    from agentflow_kernel.loading import Plugins
    from agentflow_kernel.manifest import Manifest, Resource
    from agentflow_kernel.settings import Settings


class PlanInspection:
    """The plans of a manifest with their planners and what they may name; agents, models and policies are not made.

    ``findings`` are in the order of the plans, ``warnings`` those that keep no plan from being followed;
    ``unchecked`` are pairs of a plan and a file of code that may not run.
    """

    def __init__(self, manifest: Manifest, plugins: Plugins, settings: Settings, *, trusted: bool = False) -> None:
        code = CodeLoader(manifest.folder, settings, trusted=trusted)
        environment = Environment(
            plugins,
            code,
            clock=SystemClock(),
            random=Random(),  # noqa: S311 -- no secret
            state_folder=None,
            emit=lambda name, fields: None,
        )
        self._manifest = manifest
        self._composition = Composition(manifest, environment)
        self.findings: list[ManifestError] = []
        self.warnings: list[ManifestError] = []
        self.unchecked: list[tuple[str, str]] = []

    def check(self) -> None:
        """Have each plan checked. Raises what making a planner raises: its plugin may not be admitted, or fail."""
        for resource in self._manifest.of("Plan"):
            try:
                self._check(resource)
            except ManifestErrors as error:
                self.findings += error.findings
            except UntrustedCode:
                self.unchecked.append((resource.name, str(resource.spec["planner"].get("uses", ""))))

    def graph(self, name: str, state: JSON = None) -> Picture | None:
        """The picture of a plan, what is active in ``state`` standing out; ``None`` where its planner draws none.

        Raises :class:`UnknownName`, :class:`PlanInvalid`, :class:`ManifestErrors` and :class:`UntrustedCode`.
        """
        resource = self._manifest.get("Plan", name)
        planner, document = self.parts_of(resource)
        draw = getattr(planner, "graph", None)
        picture: Picture | None = None if draw is None else draw(document, state)
        return picture

    def parts_of(self, resource: Resource) -> tuple[Planner, Mapping[str, JSON]]:
        """The planner and the document of a plan; raises as :meth:`graph` does."""
        return self._composition.planner_of(resource)

    def scope_of(self, resource: Resource) -> PlanScope:
        """What the plan may name; its tools are not known where they are made by code that may not run."""
        spec = resource.spec
        names = {kind: self._described(kind, spec.get(f"{kind.lower()}s", ())) for kind in ("Agent", "Flow", "Plan")}
        return PlanScope(
            tools=self._tools(spec.get("tools", ())), agents=names["Agent"], flows=names["Flow"], plans=names["Plan"]
        )

    def _check(self, resource: Resource) -> None:
        planner, document = self.parts_of(resource)
        check, read = getattr(planner, "check", None), getattr(planner, "read", None)
        if read is None:
            problem = "This planner follows no document; it is one for agents."
            raise ManifestErrors([self._manifest.error(resource, ("spec", "planner"), problem)])
        if check is not None:
            scope = self.scope_of(resource)
            for name, tool in (scope.tools or {}).items():
                for problem in schema_problems("the schema of its parameters", tool.parameters):
                    text = f"Tool {name!r}: {problem}."
                    self.findings.append(self._manifest.error(resource, ("spec", "tools"), text))
            for finding in check(document, scope):
                kept = self.warnings if finding.warning else self.findings
                kept.append(self._located(resource, finding, finding.where))
            return
        try:
            read(document)
        except PlanInvalid as error:
            found = [self._located(resource, finding, getattr(finding, "where", ())) for finding in error.findings]
            self.findings += found

    def _located(self, resource: Resource, finding: str, where: Sequence[str | int]) -> ManifestError:
        """The finding at its place; one about a plan in a file of its own says where in that file."""
        if "file" not in resource.spec:
            return self._manifest.error(resource, ("spec", "document", *where), finding)
        place = "/".join(map(str, where))
        text = f"{resource.spec['file']}{', ' + place if place else ''}: {finding}"
        return self._manifest.error(resource, ("spec", "file"), text)

    def _described(self, kind: str, names: Sequence[str]) -> dict[str, str]:
        return {name: str(self._manifest.get(kind, name).spec.get("description", "")) for name in names}

    def _tools(self, wanted: Sequence[str]) -> dict[str, Tool] | None:
        found: dict[str, Tool] = {}
        for name in dict.fromkeys(each.split(".")[0] for each in wanted):
            try:
                offered = self._composition.toolset(name).tools()
            except UntrustedCode:
                return None
            found.update({f"{name}.{tool.name}": tool for tool in offered})
        return {name: tool for name, tool in found.items() if name in wanted or name.split(".")[0] in wanted}
