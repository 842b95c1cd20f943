"""A plugin module: what this distribution offers, named and not yet loaded."""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import JournalSpec
from agentflow_kernel.hookspecs import hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@hookimpl
def agentflow_journals() -> Sequence[JournalSpec]:
    """Offer the journal."""
    spec = JournalSpec(
        "leveldb",
        "agentflow_leveldb.journal:create_journal",
        "agentflow_leveldb.settings:JournalSettings",
        capabilities=("durable", "inline", "compacts"),
        summary="Durable runs in a LevelDB folder, for one process at a time",
    )
    return [spec]
