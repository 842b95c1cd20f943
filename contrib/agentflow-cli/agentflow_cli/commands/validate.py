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

    Its form and references, that its plugins are installed, the settings it gives them, and its flows. The plugins that
    it names are imported for that, and that of its own code which is allowed in agentflow.toml.
    """
    try:
        with answer_only(for_people=shared.for_people):
            settings = shared.settings()
            manifest = _checked(path, Catalogue(settings))
            unchecked = _inspected(manifest, settings, trusted=trust_code)
    except ManifestErrors as error:
        report(error, debug=shared.debug)
        if not shared.for_people:
            found = [_finding(finding) for finding in error.findings]
            show(shared.output, {"valid": False, "resources": [], "findings": found})
        return WRONG_USAGE
    for line in warnings(manifest, marks=True):
        say(one_line(line))
    resources = manifest.resources
    document: dict[str, object] = {
        "valid": True,
        "resources": [_resource(resource) for resource in resources],
        "findings": [],
    }
    document["unchecked"] = [{"flow": flow, "file": file} for flow, file in unchecked]
    rows = [(resource.kind, resource.name, f"{resource.file}:{resource.line}") for resource in resources]
    show(shared.output, document, Table(("KIND", "NAME", "PLACE"), rows))
    if shared.for_people:
        for flow, file in unchecked:
            say(one_line(f"Not checked: what flow {flow!r} does in {file}, which is not allowed; give --trust-code."))
        say(f"{path} is valid: {len(resources)} resource{'' if len(resources) == 1 else 's'}.")
    return 0


def _checked(path: str, catalogue: Catalogue) -> Manifest:
    """The manifest, sound in all that can be told without running it."""
    manifest = read(path, catalogue=catalogue)
    refused = findings(manifest, Plugins(catalogue))
    if refused:
        raise ManifestErrors(refused)
    return manifest


def _inspected(manifest: Manifest, settings: Settings, *, trusted: bool) -> list[tuple[str, str]]:
    """Flows and files of code that could not be checked; raises where what could be is not sound."""
    inspection = inspect_flows(manifest, settings, trusted=trusted)
    if inspection.findings:
        raise ManifestErrors(inspection.findings)
    return inspection.unchecked


def _resource(resource: Resource) -> dict[str, object]:
    return {"kind": resource.kind, "name": resource.name, "file": resource.file, "line": resource.line}


def _finding(finding: ManifestError) -> dict[str, object]:
    names = ("file", "line", "column", "path", "problem", "hint", "code")
    return {name: getattr(finding, name) for name in names}
