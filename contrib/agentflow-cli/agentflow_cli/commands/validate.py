"""`agentflow validate`: check a manifest without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentflow_cli.failure import WRONG_USAGE, report
from agentflow_cli.literal_secrets import warnings
from agentflow_cli.output import Table, show
from agentflow_cli.setting_check import findings
from agentflow_cli.shared import common_options, files
from agentflow_cli.terminal import answer_only, one_line, say
from agentflow_kernel.errors import ManifestErrors
from agentflow_kernel.kernel.inspection import inspect_flows
from agentflow_kernel.kernel.plan_inspection import PlanInspection
from agentflow_kernel.loading import Catalogue, Plugins
from agentflow_kernel.manifest import read

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared
    from agentflow_kernel.errors import ManifestError
    from agentflow_kernel.manifest import Manifest, Resource
    from agentflow_kernel.settings import Settings


@click.command("validate")
@click.argument("path", shell_complete=files)
@click.option("--trust-code", is_flag=True, help="Import the manifest's own code to check its flows with it.")
@common_options
@click.pass_obj
def command(shared: Shared, path: str, trust_code: bool) -> int:  # noqa: FBT001 - passed by name
    """Check the manifest at PATH, a file or a folder.

    Its form and references, that its plugins are installed, the settings it gives them, its flows and its plans. The
    plugins that it names are imported for that, and that of its own code which is allowed in agentflow.toml.
    """
    try:
        with answer_only(for_people=shared.for_people):
            settings = shared.settings()
            plugins = Plugins(Catalogue(settings))
            manifest = _checked(path, plugins)
            unchecked, plans = _inspected(manifest, plugins, settings, trusted=trust_code)
    except ManifestErrors as error:
        report(error, debug=shared.debug)
        if not shared.for_people:
            found = [_finding(finding) for finding in error.findings]
            show(shared.output, {"valid": False, "resources": [], "findings": found})
        return WRONG_USAGE
    for line in (*warnings(manifest, marks=True), *map(str, plans.warnings)):
        say(one_line(line))
    resources = manifest.resources
    document: dict[str, object] = {
        "valid": True,
        "resources": [_resource(resource) for resource in resources],
        "findings": [],
        "warnings": [_finding(finding) for finding in plans.warnings],
    }
    document["unchecked"] = [
        *({"flow": flow, "file": file} for flow, file in unchecked),
        *({"plan": plan, "file": file} for plan, file in plans.unchecked),
    ]
    rows = [(resource.kind, resource.name, f"{resource.file}:{resource.line}") for resource in resources]
    show(shared.output, document, Table(("KIND", "NAME", "PLACE"), rows))
    if shared.for_people:
        for flow, file in unchecked:
            say(one_line(f"Not checked: what flow {flow!r} does in {file}, which is not allowed; give --trust-code."))
        for plan, file in plans.unchecked:
            say(one_line(f"Not checked: plan {plan!r}, whose planner in {file} is not allowed; give --trust-code."))
        say(f"{path} is valid: {len(resources)} resource{'' if len(resources) == 1 else 's'}.")
    return 0


def _checked(path: str, plugins: Plugins) -> Manifest:
    """The manifest, sound in all that can be told without running it."""
    manifest = read(path, catalogue=plugins.catalogue)
    refused = findings(manifest, plugins)
    if refused:
        raise ManifestErrors(refused)
    return manifest


def _inspected(
    manifest: Manifest, plugins: Plugins, settings: Settings, *, trusted: bool
) -> tuple[list[tuple[str, str]], PlanInspection]:
    """Flows and files of code that could not be checked, and the plans; raises where what could be is not sound."""
    flows = inspect_flows(manifest, settings, trusted=trusted)
    plans = PlanInspection(manifest, plugins, settings, trusted=trusted)
    plans.check()
    if flows.findings or plans.findings:
        raise ManifestErrors([*flows.findings, *plans.findings])
    return flows.unchecked, plans


def _resource(resource: Resource) -> dict[str, object]:
    return {"kind": resource.kind, "name": resource.name, "file": resource.file, "line": resource.line}


def _finding(finding: ManifestError) -> dict[str, object]:
    names = ("file", "line", "column", "path", "problem", "hint", "code")
    return {name: getattr(finding, name) for name in names}
