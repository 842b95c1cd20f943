"""`agentflow plan show`: the steps of a plan, its findings, and what it may cost at worst; nothing is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from agentflow_cli.completion import runnable
from agentflow_cli.failure import WRONG_USAGE
from agentflow_cli.output import Table, show
from agentflow_cli.plan_picture import manifest_of
from agentflow_cli.shared import common_options, files
from agentflow_cli.terminal import answer_only, one_line, say
from agentflow_kernel.errors import UnknownName, Unsupported
from agentflow_kernel.kernel.plan_inspection import PlanInspection
from agentflow_kernel.loading import Catalogue, Plugins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel.contracts.finding import PlanFinding
    from agentflow_kernel.contracts.planner import EstimatesPlans, Planner
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.drawing import Picture
    from agentflow_kernel.manifest import Resource


@click.command("show")
@click.argument("name", shell_complete=runnable)
@click.option("-f", "--file", metavar="PATH", shell_complete=files, help="Manifest that holds the plan.")
@click.option("--cost", is_flag=True, help="Work out what the plan may use at worst.")
@common_options
@click.pass_obj
def command(shared: Shared, name: str, file: str | None, cost: bool) -> int:  # noqa: FBT001 - passed by name
    """Show the plan NAME, `plan/x` or `x`: of the manifest given with --file, or applied.

    Its planner is imported, and nothing is run. With --cost it is said what the plan may use at worst, over all
    branches, with every loop done as often as it may and every retry used. The exit code is 2 where it has findings.
    """
    with answer_only(for_people=shared.for_people):
        manifest = manifest_of(shared, file)
        name = name.removeprefix("plan/")
        resource = manifest.find("Plan", name)
        if resource is None:
            raise UnknownName("plan", name, [each.name for each in manifest.of("Plan")])
        settings = shared.settings()
        inspection = PlanInspection(manifest, Plugins(Catalogue(settings)), settings)
        planner, document = inspection.parts_of(resource)
        check = getattr(planner, "check", None)
        found: Sequence[PlanFinding] = () if check is None else check(document, inspection.scope_of(resource))
        sound = all(finding.warning for finding in found)
        picture = inspection.graph(name) if sound else None
        estimate = _estimate(planner, document, inspection, resource) if cost and sound else None
    _show(shared, resource, found, picture, estimate)
    return 0 if sound else WRONG_USAGE


def _estimate(
    planner: Planner, document: Mapping[str, JSON], inspection: PlanInspection, resource: Resource
) -> Mapping[str, JSON]:
    """What the plan may use at worst. Raises :class:`Unsupported` for a planner that cannot tell."""
    if not hasattr(planner, "estimate"):
        raise Unsupported(f"The cost of plan {resource.name!r}", "its planner does not work it out.")
    return cast("EstimatesPlans", planner).estimate(document, inspection.scope_of(resource))


def _show(
    shared: Shared,
    resource: Resource,
    found: Sequence[PlanFinding],
    picture: Picture | None,
    estimate: Mapping[str, JSON] | None,
) -> None:
    shown: dict[str, Any] = {
        "plan": resource.name,
        "planner": resource.spec["planner"],
        "file": resource.file,
        "line": resource.line,
        "findings": [
            {
                "code": finding.code,
                "step": finding.step,
                "pointer": finding.pointer,
                "problem": str(finding),
                "warning": finding.warning,
            }
            for finding in found
        ],
    }
    rows: list[tuple[str, ...]] = []
    if picture is not None:
        shown["picture"] = picture.to_json()
        before: dict[str, list[str]] = {}
        for edge in picture.edges:
            before.setdefault(edge.target, []).append(edge.source)
        rows += [
            (shape.id, shape.kind, shape.detail, ", ".join(before.get(shape.id, ())))
            for shape in picture.shapes.values()
        ]
    if estimate is not None:
        shown["estimate"] = dict(estimate)
    show(shared.output, shown, Table(("STEP", "KIND", "WHAT", "AFTER"), rows))
    if shared.for_people:
        for finding in found:
            say(one_line(f"{finding.pointer or '/'}: {finding}"))
        for line in _lines(estimate or {}):
            say(line)


def _lines(estimate: Mapping[str, JSON]) -> list[str]:
    """The estimate for people, one figure a line, and what is not known."""
    lines = []
    for name, value in estimate.items():
        if name == "unknown" and isinstance(value, dict):
            lines += [f"{each} unknown for: {', '.join(map(str, ids))}" for each, ids in value.items() if ids]
        elif isinstance(value, int | float):
            lines.append(f"{name}: at most {value:,.10g}")
    return lines
