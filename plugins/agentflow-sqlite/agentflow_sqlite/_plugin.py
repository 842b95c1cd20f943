"""A plugin module: what this distribution offers, named and not yet loaded."""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import JournalSpec, MemorySpec
from agentflow_kernel.hookspecs import hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@hookimpl
def agentflow_journals() -> Sequence[JournalSpec]:
    """Offer the journal."""
    spec = JournalSpec(
        "sqlite",
        "agentflow_sqlite.journal:create_journal",
        "agentflow_sqlite.settings:JournalSettings",
        capabilities=("durable", "inline", "shared", "prunes", "compacts", "tally"),
        summary="Durable runs in one SQLite file, shared by the processes of one machine",
    )
    return [spec]


@hookimpl
def agentflow_memories() -> Sequence[MemorySpec]:
    """Offer the memory."""
    spec = MemorySpec(
        "sqlite",
        "agentflow_sqlite.memory:create_memory",
        "agentflow_sqlite.settings:MemorySettings",
        capabilities=("durable", "shared"),
        summary="Key-value entries that can expire, in one SQLite file shared by the processes of one machine",
    )
    return [spec]
