"""`agentflow apply`: keep the resources of manifests in the state folder, versioned."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from agentflow_cli.applying import STDIN, checked, differences, tell
from agentflow_cli.shared import files_option, folders, list_options
from agentflow_cli.terminal import answer_only, write
from agentflow_kernel.errors import UsageError
from agentflow_kernel.kernel.applied import AppliedResources
from agentflow_kernel.loading import Catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel.kernel.applied_index import AppliedResource


@click.command("apply")
@files_option("A manifest file, a folder of them, or - for standard input; may be repeated.", required=True)
@click.option(
    "--folder",
    metavar="FOLDER",
    shell_complete=folders,
    help="Folder of the code and files that standard input names.  [default: .]",
)
@click.option("--dry-run", is_flag=True, help="Show what would change, line by line, and change nothing.")
@click.option("--prune", is_flag=True, help="Delete what was applied from these PATHs and is no longer there.")
@list_options
@click.pass_obj
def command(
    shared: Shared,
    files: Sequence[str],
    folder: str | None,
    dry_run: bool,  # noqa: FBT001 - passed by name
    prune: bool,  # noqa: FBT001 - passed by name
) -> int:
    """Keep the resources of manifests in the state folder, all or none.

    They are checked as `validate` does, also against what is applied already. Each change is a new version. Code is
    not copied: it stays in the manifest's folder, and agentflow.toml still decides whether it may run.
    """
    if prune and STDIN in files:
        raise UsageError("--prune needs files or folders: nobody knows what standard input no longer holds.")
    if folder is not None and STDIN not in files:
        raise UsageError("--folder goes with --file - only: a file's folder is its own.")
    settings = shared.settings()
    store = AppliedResources(shared.state_folder(settings))
    with answer_only(for_people=shared.for_people):
        manifest = checked(files, folder or ".", Catalogue(settings), store)
    chosen = _left_out(files) if prune else None
    changes = store.apply(manifest.resources, prune=chosen, write=not dry_run)
    tell(shared, changes, dry_run=dry_run)
    if dry_run and shared.for_people:
        for line in differences(store, manifest, changes):
            write(f"{line}\n")
    return 0


def _left_out(files: Sequence[str]) -> Callable[[AppliedResource], bool]:
    """Whether a resource came from one of these files, or from a file directly in one of these folders."""
    given = {os.path.abspath(file) for file in files}
    return lambda each: each.file in given or os.path.dirname(each.file) in given
