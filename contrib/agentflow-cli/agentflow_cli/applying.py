"""Applying: manifests checked beside what is applied already, and what has changed told."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from agentflow_cli.listing import AnyEnvironment
from agentflow_cli.literal_secrets import fill, hidden, hidden_change, warnings
from agentflow_cli.output import Table, show
from agentflow_cli.setting_check import findings
from agentflow_cli.terminal import one_line, say, visible, write
from agentflow_kernel.errors import ManifestErrors
from agentflow_kernel.kernel.applied_index import key_of
from agentflow_kernel.loading import Plugins
from agentflow_kernel.manifest import Source, read_all, to_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel.kernel.applied import AppliedResources, Change
    from agentflow_kernel.kernel.applied_index import AppliedIndex
    from agentflow_kernel.loading import Catalogue
    from agentflow_kernel.manifest import Manifest

STDIN = "-"


def checked(files: Sequence[str], folder: str, catalogue: Catalogue, store: AppliedResources) -> Manifest:
    """The manifest in all these files, sound beside what is applied already; ``folder`` is that of standard input.

    Secrets that are applied already stand again where only their marks did. Those that are written out are warned of.
    """
    here = os.path.abspath(folder)
    paths = [Source(sys.stdin.read(), file="<stdin>", folder=here) if file == STDIN else file for file in files]
    manifest = read_all(paths, catalogue=catalogue, known=store.index().known())
    told = list(warnings(manifest, marks=False))
    refused = fill(manifest, store) or findings(manifest, Plugins(catalogue))
    if refused:
        raise ManifestErrors(refused)
    for line in told:
        say(one_line(line))
    return manifest


def tell(shared: Shared, changes: Sequence[Change], *, dry_run: bool) -> None:
    """Say what has changed, or would."""
    if shared.output == "name":
        write("".join(f"{change.key}\n" for change in changes))
    elif shared.output == "table":
        for change in changes:
            write(f"{_line(change)}{' (dry run)' if dry_run else ''}\n")
    else:
        document = [{"resource": each.key, "outcome": each.outcome, "version": each.version} for each in changes]
        rows = [(each.key, each.outcome, str(each.version)) for each in changes]
        show(shared.output, document, Table(("RESOURCE", "OUTCOME", "VERSION"), rows))
        if dry_run:
            say("Nothing was changed: this was a dry run.")


def differences(store: AppliedResources, manifest: Manifest, changes: Sequence[Change]) -> Iterator[str]:
    """Line by line, as `diff -u` shows it, what would change in resources that are applied already."""
    import difflib  # lazy: only dry runs pay

    index = store.index()
    changed = {change.key for change in changes if change.outcome == "configured"}
    for resource in manifest.resources:
        key = key_of(resource.kind, resource.name)
        if key not in changed:
            continue
        version = index.resources[key].version
        before = store.document(key, version)
        old = to_yaml(hidden(before, key, version)).splitlines()
        new = to_yaml(hidden_change(before, resource.document(), key, version)).splitlines()
        names = (f"{key} version {version}", f"{key} in {resource.file}")
        yield from map(visible, difflib.unified_diff(old, new, *names, lineterm=""))


def _line(change: Change) -> str:
    version = f" (version {change.version})" if change.outcome == "configured" else ""
    return f"{change.key} {change.outcome}{version}"


def keys_in(files: Sequence[str], index: AppliedIndex) -> list[str]:
    """The keys of the resources that manifests hold and that are applied; they need not be sound otherwise."""
    manifest = read_all(list(files), environ=AnyEnvironment(), known=index.known())
    keys = [key_of(resource.kind, resource.name) for resource in manifest.resources]
    return [key for key in keys if key in index.resources]
