"""The journal in a real database: compare and set, groups, what is read back, what is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agentflow_kernel.contracts.journal import Record, chain_hash, encode_record
from agentflow_kernel.errors import (
    AppendConflict,
    CorruptRecord,
    Fenced,
    NewerSchema,
    ProtocolViolation,
    StorageUnavailable,
    UnknownRun,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_postgres.journal import PostgresJournal

    Chain = Callable[..., list[Record]]
    Open = Callable[..., Any]

pytestmark = pytest.mark.anyio


async def test_what_was_appended_is_read_back_also_by_another_worker(journal: Open, chain: Chain) -> None:
    async with journal() as one, journal() as other:
        records = chain("r", 5)
        await one.append("r", 0, 1, records[:2])
        await one.append("r", 2, 1, records[2:])
        assert await other.read("r") == records
        assert await other.read("r", 3) == records[3:]
        head = await other.head("r")
        assert (head.next_seq, head.epoch, head.status, head.name) == (5, 1, "running", "flow/f")


async def test_reading_makes_no_tables(journal: Open, sql: Any, schema: str) -> None:
    async with journal() as one:
        assert await one.read("r") == []
        assert await one.runs() == []
        with pytest.raises(UnknownRun):
            await one.head("r")
    assert not await sql.fetchval("SELECT 1 FROM pg_namespace WHERE nspname = $1", schema)


async def test_an_append_elsewhere_than_at_the_end_is_refused(journal: Open, chain: Chain) -> None:
    async with journal() as one, journal() as other:
        records = chain("r", 4)
        await one.append("r", 0, 1, records[:2])
        await other.append("r", 2, 1, records[2:3])
        for place in (0, 2, 4):
            with pytest.raises(AppendConflict, match="3"):
                await one.append("r", place, 1, chain("r", place + 1)[place:])
        with pytest.raises(AppendConflict):
            await one.append("new", 1, 1, chain("new", 2)[1:])
        await one.append("r", 3, 1, records[3:])
        assert await one.read("r") == records


async def test_a_lower_epoch_is_fenced(journal: Open, chain: Chain) -> None:
    async with journal() as one, journal() as other:
        records = chain("r", 2)
        await one.append("r", 0, 1, records)
        taken = chain("r", 1, epoch=2, after=records)
        await other.append("r", 2, 2, taken)
        for seq in (2, 3):
            late = [Record("r", seq, "step.completed", "late", {}, 1)]
            with pytest.raises(Fenced):
                await one.append("r", seq, 1, late)
        assert await one.read("r") == [*records, *taken]


async def test_an_empty_batch_only_asks(journal: Open, chain: Chain) -> None:
    async with journal() as one:
        await one.append("r", 0, 1, chain("r", 2))
        await one.append("r", 2, 1, [])
        with pytest.raises(AppendConflict):
            await one.append("r", 1, 1, [])
        with pytest.raises(Fenced):
            await one.append("r", 2, 0, [])


async def test_appends_that_come_together_share_transactions(journal: Open, sql: Any, chain: Chain) -> None:
    """And one that is refused does not harm the others."""
    async with journal() as one:
        await one.append("first", 0, 1, chain("first", 1))
        before = await sql.fetchval("SELECT pg_current_xact_id()::text::bigint")
        wrong = one.append("first", 5, 1, chain("first", 6)[5:])
        results = await asyncio.gather(
            *(one.append(f"r{number}", 0, 1, chain(f"r{number}", 3)) for number in range(200)),
            wrong,
            return_exceptions=True,
        )
        used = await sql.fetchval("SELECT pg_current_xact_id()::text::bigint") - before
        assert isinstance(results.pop(), AppendConflict)
        assert results == [None] * 200
        assert used < 12
        assert len(await one.runs(limit=1000)) == 201


async def test_batches_of_one_run_that_come_together_stay_in_order(journal: Open, chain: Chain) -> None:
    async with journal() as one:
        records = chain("r", 30)
        await asyncio.gather(*(one.append("r", record.seq, 1, [record]) for record in records))
        assert await one.read("r") == records


async def test_texts_that_postgres_cannot_hold_are_kept(journal: Open, chain: Chain) -> None:
    """NUL and half of a surrogate pair stand in error texts and names of files."""
    async with journal() as one:
        records = chain("r", 1)
        payload: Any = {"status": "failed", "code": "X", "error": "a\0b"}
        records.append(Record("r", 1, "run.ended", "", payload, 1))
        await one.append("r", 0, 1, records)
        assert (await one.head("r")).cause == "a\0b"


async def test_a_batch_that_does_not_follow_is_refused(journal: Open, chain: Chain) -> None:
    async with journal() as one:
        records = chain("r", 3)
        await one.append("r", 0, 1, records[:2])
        records[2].prev_hash, records[2].encoded = "0" * 16, None
        with pytest.raises(ProtocolViolation, match="Nothing was appended"):
            await one.append("r", 2, 1, records[2:])
        assert len(await one.read("r")) == 2


async def test_lists_are_by_status_newest_first(journal: Open, chain: Chain) -> None:
    async with journal() as one:
        for number in range(5):
            started = chain(f"r{number}", 1)
            started[0].ts, started[0].encoded = float(number), None
            await one.append(f"r{number}", 0, 1, started)
        ended: Any = {"status": "completed"}
        await one.append("r3", 1, 1, [Record("r3", 1, "run.ended", "", ended, 1)])
        assert [info.run_id for info in await one.runs(limit=3)] == ["r4", "r3", "r2"]
        assert [info.run_id for info in await one.runs(status="running")] == ["r4", "r2", "r1", "r0"]
        assert [info.run_id for info in await one.runs(status="completed")] == ["r3"]


async def test_blobs_are_kept_once_and_checked(journal: Open, sql: Any, chain: Chain) -> None:
    async with journal() as one:
        data = b"\0" * 300_000
        ref = await one.put_blob(data)
        assert await one.put_blob(data) == ref
        assert await one.get_blob(ref) == data
        await sql.execute("UPDATE blobs SET data = 'other'")
        with pytest.raises(CorruptRecord, match="does not match"):
            await one.get_blob(ref)
        await one.put_blob(data)
        assert await one.get_blob(ref) == data
        with pytest.raises(CorruptRecord, match="missing"):
            await one.get_blob("0" * 64)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE records SET data = set_byte(data, 30, get_byte(data, 30) # 1) WHERE seq = 2",
        "DELETE FROM records WHERE seq = 2",
        "DELETE FROM records WHERE seq = 4",
        "UPDATE records SET data = (SELECT data FROM records WHERE seq = 1) WHERE seq = 2",
        "UPDATE runs SET head = set_byte(head, 20, get_byte(head, 20) # 1)",
        "UPDATE runs SET next_seq = 4",
    ],
)
async def test_damage_is_found_and_harms_no_other_run(journal: Open, sql: Any, damage: str, chain: Chain) -> None:
    async with journal() as one:
        await one.append("r", 0, 1, chain("r", 5))
        await sql.execute(damage)
        sound = chain("sound", 2)
        await one.append("sound", 0, 1, sound)
        with pytest.raises(CorruptRecord):
            await one.read("r")
        assert await one.read("sound") == sound
        if "runs" in damage:
            assert [info.run_id for info in await one.runs(status="quarantined")] == ["r"]


async def begin(journal: PostgresJournal, run_id: str, owner: str, *end: Any) -> None:
    """One run, which has stopped where ``end`` is the type and payload of a further record."""
    await journal.append(run_id, 0, 1, [Record(run_id, 0, "run.started", "", {"name": "n", "owner": owner}, 1)])
    if end:
        await journal.append(run_id, 1, 1, [Record(run_id, 1, end[0], "", end[1], 1)])


async def test_the_tally_counts_runs_that_have_not_ended_by_owner_or_cause(journal: Open) -> None:
    """A name that a column cannot hold counts as none, so that somebody looks closer."""
    async with journal() as one:
        assert list(await one.tally()) == []
        await begin(one, "r0", "one")
        await begin(one, "r1", "one")
        await begin(one, "r2", "two")
        await begin(one, "r3", "od\0d")
        await begin(one, "r4", "one", "run.suspended", {"cause": "handover"})
        await begin(one, "r5", "one", "run.suspended", {"cause": "č"})
        await begin(one, "r6", "one", "run.suspended", {"status": "stuck"})
        await begin(one, "r7", "one", "run.ended", {"status": "completed"})
        expected = [("", "", 1), ("", "handover", 1), ("", "unknown", 1), ("one", "", 2), ("two", "", 1)]
        assert sorted(await one.tally()) == expected


async def test_tables_of_the_first_version_are_migrated(journal: Open, sql: Any) -> None:
    """Of a run that has not ended nobody knows the owner until its next record."""
    async with journal() as one:
        await begin(one, "r0", "one")
        await begin(one, "r1", "one", "run.ended", {"status": "completed"})
    await sql.execute("ALTER TABLE runs DROP COLUMN held, DROP COLUMN base")
    await sql.execute("DROP TABLE puts")
    await sql.execute("UPDATE agentflow_version SET version = 1")
    async with journal() as one:
        assert list(await one.tally()) == [("", "", 1)]
        await one.append("r0", 1, 1, [Record("r0", 1, "step.completed", "a", {"output": 1}, 1)])
        assert list(await one.tally()) == [("one", "", 1)]
        assert [info.status for info in await one.runs(status="completed")] == ["completed"]


async def test_tables_of_a_newer_version_are_refused_by_name(journal: Open, sql: Any, chain: Chain) -> None:
    async with journal() as one:
        await one.append("r", 0, 1, chain("r", 1))
    await sql.execute("UPDATE agentflow_version SET version = 99")
    async with journal() as one:
        with pytest.raises(NewerSchema, match="schema version 99"):
            await one.read("r")
        with pytest.raises(NewerSchema):
            await one.append("q", 0, 1, chain("q", 1))


async def test_workers_that_come_together_make_the_tables_once(journal: Open, chain: Chain) -> None:
    async with journal() as one, journal() as two, journal() as three:
        journals = (one, two, three)
        await asyncio.gather(*(each.append(f"r{n}", 0, 1, chain(f"r{n}", 1)) for n, each in enumerate(journals)))
        assert len(await one.runs()) == 3


async def test_a_closed_journal_takes_nothing(journal: Open, chain: Chain) -> None:
    async with journal() as one:
        under_way = asyncio.create_task(one.append("r", 0, 1, chain("r", 1)))
        await asyncio.sleep(0)
        await one.aclose()
        await under_way
        await one.aclose()
        for call in (one.read("r"), one.append("r", 1, 1, chain("r", 2)[1:]), one.put_blob(b"")):
            with pytest.raises(StorageUnavailable, match="closed"):
                await call


async def test_a_very_long_run_is_shortened_in_parts_that_nobody_sees(
    journal: Open, sql: Any, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first transaction the history is short, and goes on; later ones delete the rest."""
    monkeypatch.setattr("agentflow_postgres._compacting.MOST_RECORDS", 10)
    records = chain("r", 36)
    tail = chain_hash(encode_record(records[-1]))
    snapshot = Record("r", 36, "snapshot", "", {"v": 1}, 1, ts=36.0, prev_hash=tail)
    async with journal() as one:
        await one.append("r", 0, 1, [*records, snapshot])
        assert await one.compact("r", 36, 1) == 10  # it takes that for the last part
        assert list(await one.read("r")) == [records[0], snapshot]
        assert await sql.fetchval("SELECT count(*) FROM records") == 27
        monkeypatch.setattr("agentflow_postgres.journal.MOST_RECORDS", 10)
        assert await one.compact("r", 36, 1) == 25
        assert list(await one.read("r")) == [records[0], snapshot]
        assert await sql.fetchval("SELECT count(*) FROM records") == 2
        await sql.execute("UPDATE runs SET base = 20")
        with pytest.raises(CorruptRecord):
            await one.read("r")
