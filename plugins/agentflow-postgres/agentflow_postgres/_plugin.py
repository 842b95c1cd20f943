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
        "postgres",
        "agentflow_postgres.journal:create_journal",
        "agentflow_postgres.settings:JournalSettings",
        capabilities=("shared-read", "shared-runs", "prunes", "compacts", "tally"),
        summary="Durable runs in one PostgreSQL database, shared by workers on several machines",
    )
    return [spec]
