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
from agentflow_kernel.loading import Catalogue, Plugins
from agentflow_kernel.manifest import read

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared
    from agentflow_kernel.errors import ManifestError
    from agentflow_kernel.manifest import Manifest, Resource


@click.command("validate")
@click.argument("path", shell_complete=files)
@common_options
@click.pass_obj
def command(shared: Shared, path: str) -> int:
    """Check the manifest at PATH, a file or a folder.

    Its form and references, that its plugins are installed, and the settings it gives them. The plugins that it names
    are imported for that; its own code is not.
    """
    try:
        with answer_only(for_people=shared.for_people):
            manifest = _checked(path, Catalogue(shared.settings()))
    except ManifestErrors as error:
        report(error, debug=shared.debug)
        if not shared.for_people:
            found = [_finding(finding) for finding in error.findings]
            show(shared.output, {"valid": False, "resources": [], "findings": found})
        return WRONG_USAGE
    for line in warnings(manifest, marks=True):
        say(one_line(line))
    resources = manifest.resources
    document = {"valid": True, "resources": [_resource(resource) for resource in resources], "findings": []}
    rows = [(resource.kind, resource.name, f"{resource.file}:{resource.line}") for resource in resources]
    show(shared.output, document, Table(("KIND", "NAME", "PLACE"), rows))
    if shared.for_people:
        say(f"{path} is valid: {len(resources)} resource{'' if len(resources) == 1 else 's'}.")
    return 0


def _checked(path: str, catalogue: Catalogue) -> Manifest:
    """The manifest, sound in all that can be told without running it."""
    manifest = read(path, catalogue=catalogue)
    refused = findings(manifest, Plugins(catalogue))
    if refused:
        raise ManifestErrors(refused)
    return manifest


def _resource(resource: Resource) -> dict[str, object]:
    return {"kind": resource.kind, "name": resource.name, "file": resource.file, "line": resource.line}


def _finding(finding: ManifestError) -> dict[str, object]:
    names = ("file", "line", "column", "path", "problem", "hint", "code")
    return {name: getattr(finding, name) for name in names}
