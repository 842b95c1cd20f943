"""A plan's picture: drawn by its planner, with what is active in a run of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_cli.listing import AnyEnvironment
from agentflow_cli.look import ALL, look, pick
from agentflow_kernel.errors import UnknownName, UnknownRun, Unsupported, UsageError
from agentflow_kernel.kernel.applied import AppliedResources
from agentflow_kernel.kernel.plan_inspection import PlanInspection
from agentflow_kernel.loading import Catalogue, Plugins
from agentflow_kernel.manifest import read

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.drawing import Picture
    from agentflow_kernel.manifest import Manifest


def is_plan(manifest: Manifest, target: str) -> bool:
    """Whether the name is one of a plan: `plan/x`, or `x` where no flow is called so."""
    kind, stroke, name = target.rpartition("/")
    if stroke:
        return kind == "plan"
    return manifest.find("Plan", name) is not None and manifest.find("Flow", name) is None


def manifest_of(shared: Shared, file: str | None) -> Manifest:
    """The manifest at a path, or all that is applied; variables need not be set, since nothing is run."""
    if file is not None:
        return read(file, environ=AnyEnvironment())
    return AppliedResources(shared.state_folder(shared.settings())).manifest(environ=AnyEnvironment())


def plan_picture(shared: Shared, manifest: Manifest, target: str, *, file: str | None, run_id: str | None) -> Picture:
    """The picture that the planner draws; its plugin is imported, the manifest's code only where it is allowed.

    Raises :class:`UnknownName`, :class:`Unsupported` for a planner that draws nothing, :class:`PlanInvalid`, and
    :class:`UsageError` for a run of something else.
    """
    name = target.removeprefix("plan/")
    if manifest.find("Plan", name) is None:
        raise UnknownName("plan", name, [resource.name for resource in manifest.of("Plan")])
    settings = shared.settings()
    inspection = PlanInspection(manifest, Plugins(Catalogue(settings)), settings)
    state = None if run_id is None else _state_of(shared, run_id, file, f"plan/{name}")
    picture = inspection.graph(name, state)
    if picture is None:
        raise Unsupported(f"A picture of plan {name!r}", "its planner draws nothing.")
    return picture


def _state_of(shared: Shared, run_id: str, file: str | None, name: str) -> JSON:
    """The state of the planner as the run's last decision has it, `None` before the first."""

    async def ask(kernel: Kernel) -> tuple[str, str, JSON]:
        info = pick(await kernel.runs(limit=ALL), run_id)
        state: JSON = None
        for record in await kernel.history(info.run_id, whole=True):
            payload: Any = record.payload
            if record.type == "decision" and "/" not in record.path and isinstance(payload, dict):
                state = payload.get("state")
        return info.run_id, info.name, state

    found = look(shared, ask, file)
    if found is None:
        raise UnknownRun(run_id)
    whole_id, what, state = found
    if what != name:
        raise UsageError(f"Run {whole_id} is one of {what!r}, not of {name!r}.")
    return state
