"""What was acknowledged survives the sudden end of its process."""

from __future__ import annotations

import os

import pytest
from anyio.to_thread import run_sync

from agentflow_leveldb.journal import LevelJournal

KILLS = int(os.environ.get("AGENTFLOW_LEVELDB_KILLS", "32"))


@pytest.fixture
def anyio_backend() -> str:
    """One loop: the children have loops of their own."""
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.timeout(600)
async def test_no_acknowledged_record_is_lost_when_writers_are_killed(folder: str, killed) -> None:
    """Each of many children is killed at another moment; all batches are whole, those acknowledged are there."""
    acknowledged: dict[str, int] = {}
    for number in range(KILLS):
        acknowledged |= await run_sync(killed, folder, number, 1 + 7 * number % 90)
    journal = LevelJournal(folder)
    assert await journal.runs(status="quarantined") == []
    for run_id, end in acknowledged.items():
        records = await journal.read(run_id)
        assert len(records) >= end
        assert len(records) % 3 == 0
        assert (await journal.head(run_id)).next_seq == len(records)
    await journal.aclose()
    assert len(acknowledged) >= KILLS
