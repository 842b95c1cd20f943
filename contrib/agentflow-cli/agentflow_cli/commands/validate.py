"""`agentflow validate`: check a manifest without running or importing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentflow_cli.failure import WRONG_USAGE, report
from agentflow_cli.output import Table, show
from agentflow_cli.shared import common_options
from agentflow_cli.terminal import say
from agentflow_kernel.errors import ManifestErrors
from agentflow_kernel.loading import Catalogue
from agentflow_kernel.manifest import read

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared
    from agentflow_kernel.errors import ManifestError
    from agentflow_kernel.manifest import Resource


@click.command("validate")
@click.argument("path")
@common_options
@click.pass_obj
def command(shared: Shared, path: str) -> int:
    """Check the manifest at PATH, a file or a folder: its form, its references, and that its plugins are installed."""
    try:
        manifest = read(path, catalogue=Catalogue(shared.settings()))
    except ManifestErrors as error:
        report(error, debug=shared.debug)
        if not shared.for_people:
            findings = [_finding(finding) for finding in error.findings]
            show(shared.output, {"valid": False, "resources": [], "findings": findings})
        return WRONG_USAGE
    resources = manifest.resources
    document = {"valid": True, "resources": [_resource(resource) for resource in resources], "findings": []}
    rows = [(resource.kind, resource.name, f"{resource.file}:{resource.line}") for resource in resources]
    show(shared.output, document, Table(("KIND", "NAME", "PLACE"), rows))
    if shared.for_people:
        say(f"{path} is valid: {len(resources)} resource{'' if len(resources) == 1 else 's'}.")
    return 0


def _resource(resource: Resource) -> dict[str, object]:
    return {"kind": resource.kind, "name": resource.name, "file": resource.file, "line": resource.line}


def _finding(finding: ManifestError) -> dict[str, object]:
    names = ("file", "line", "column", "path", "problem", "hint", "code")
    return {name: getattr(finding, name) for name in names}
