"""`agentflow delete`: delete applied resources; their versions stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentflow_cli.applying import keys_in, tell
from agentflow_cli.completion import resource_words
from agentflow_cli.kinds import find_kind, split_key
from agentflow_cli.shared import files_option, list_options
from agentflow_kernel.errors import UsageError
from agentflow_kernel.kernel.applied import AppliedResources
from agentflow_kernel.kernel.applied_index import key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_cli.shared import Shared


@click.command("delete")
@click.argument("words", nargs=-1, metavar="KIND NAME... | KIND/NAME...", shell_complete=resource_words)
@files_option("Delete what this manifest holds; may be repeated.")
@click.option("--cascade", is_flag=True, help="Delete what names them, too.")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@list_options
@click.pass_obj
def command(
    shared: Shared,
    words: Sequence[str],
    files: Sequence[str],
    cascade: bool,  # noqa: FBT001 - passed by name
    dry_run: bool,  # noqa: FBT001 - passed by name
) -> int:
    """Delete applied resources, all or none.

    What others name is not deleted without --cascade. The versions stay: `get KIND NAME --version N` shows them, and
    applying the resource again goes on counting.
    """
    if bool(words) == bool(files):
        raise UsageError("Give KIND NAME, KIND/NAME or --file PATH.")
    store = AppliedResources(shared.state_folder(shared.settings()))
    keys = _keys(words) if words else keys_in(files, store.index())
    tell(shared, store.delete(keys, cascade=cascade, write=not dry_run), dry_run=dry_run)
    return 0


def _keys(words: Sequence[str]) -> list[str]:
    """The keys that the words name."""
    if "/" not in words[0]:
        kind = find_kind(words[0])
        if len(words) == 1:
            raise UsageError(f"Name the {kind.singular} to delete: `agentflow delete {kind.singular} NAME`.")
        return [key_of(kind.kind, name) for name in words[1:]]
    return [key_of(kind.kind, name) for kind, name in map(split_key, words)]
