"""The payloads of records, those that are stored apart included."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.journal import Journal, Record


async def fetch_payloads(journal: Journal, records: Sequence[Record]) -> Sequence[Record]:
    """The same records with whole payloads. Raises :class:`CorruptRecord` where one is missing or damaged."""
    for record in records:
        if record.ref:
            record.payload = json.loads(await journal.get_blob(record.ref))
    return records
