"""A plan's picture: drawn by its planner, with what is active in a run of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_cli.listing import AnyEnvironment
from agentflow_cli.look import ALL, look, pick
from agentflow_cli.terminal import say
from agentflow_kernel.errors import UnknownName, UnknownRun, Unsupported, UsageError
from agentflow_kernel.kernel.applied import AppliedResources
from agentflow_kernel.kernel.plan_inspection import PlanInspection
from agentflow_kernel.loading import Catalogue, Plugins
from agentflow_kernel.manifest import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel
    from agentflow_kernel.contracts.journal import Record, RunInfo
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
    run = None if run_id is None else _run_of(shared, run_id, file, f"plan/{name}")
    picture = inspection.graph(name, None if run is None else run.state)
    if picture is None:
        raise Unsupported(f"A picture of plan {name!r}", "its planner draws nothing.")
    if run is not None:
        if run.ending:
            _close(picture, run.ending)
        say(run.told())
    return picture


def _close(picture: Picture, ending: Mapping[str, Any]) -> None:
    """Nothing is at work in a run that has ended: where it failed it was there, elsewhere it has been there."""
    mark = "failed" if ending.get("status") == "failed" else "visited"
    picture.mark({shape.id: mark for shape in picture.shapes.values() if shape.mark in ("working", "waiting")})


class _Standing:
    """A run of a plan: the state of its planner where that is on record, and how it has ended, where it has."""

    def __init__(self, info: RunInfo) -> None:
        self.info = info
        self.state: JSON = None
        self.ending: Mapping[str, Any] = {}

    def take(self, record: Record) -> None:
        """Note what a record tells: of decisions the last one, that of the end if it brought the planner to it."""
        payload: Any = record.payload if isinstance(record.payload, dict) else {}
        if record.type == "decision" and "/" not in record.path:
            self.state = payload.get("state")
        elif record.type == "run.ended":
            self.ending = payload
            self.state = payload.get("state", self.state)

    def told(self) -> str:
        """One line about it."""
        error = self.ending.get("error")
        why = f": {self.ending.get('code')}: {error}" if error else ""
        return f"Run {self.info.run_id}: {self.ending.get('status', self.info.status)}{why}"


def _run_of(shared: Shared, run_id: str, file: str | None, name: str) -> _Standing:
    """Where a run of the plan stands."""

    async def ask(kernel: Kernel) -> _Standing:
        standing = _Standing(pick(await kernel.runs(limit=ALL), run_id))
        for record in await kernel.history(standing.info.run_id, whole=True):
            standing.take(record)
        return standing

    found = look(shared, ask, file)
    if found is None:
        raise UnknownRun(run_id)
    if found.info.name != name:
        raise UsageError(f"Run {found.info.run_id} is one of {found.info.name!r}, not of {name!r}.")
    return found
