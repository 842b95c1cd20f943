"""Compacting: what a run has on record before a snapshot is deleted, all at once, while everything goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow_kernel.errors import Fenced, StorageUnavailable, UnknownRun
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.journal.abilities import compacting_of, store_of
from agentflow_specs.suites.journal.author import Author

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Journal, Record
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio


async def fold(journal: Journal, author: Author, count: int) -> list[Record]:
    """So many records and a snapshot after them."""
    records = await author.append(journal, *[{"output": number} for number in range(count)])
    return records + await author.append(journal, {"v": 1}, kind="snapshot")


@requirement(
    "JOURNAL-88",
    "MUST",
    needs="compacts",
    reason="A run that goes on for years must not fill the disk; its input, its end and every other run must stay.",
    advice="Delete only what lies between; let `read` go on at the snapshot after the first record.",
)
async def test_what_lies_before_a_snapshot_is_deleted(journal: Journal) -> None:
    """Deletes the records between the first and a snapshot; the first, the head, later appends and other runs stay."""
    compacting, author, other = compacting_of(journal), Author("r"), Author("other")
    records = await fold(journal, author, 6)
    records += await author.append(journal, {"output": "after"})
    others = await fold(journal, other, 3)
    head = await journal.head("r")
    assert await compacting.compact("r", 6, 1) == 5
    expected = [records[0], *records[6:]]
    assert list(await journal.read("r")) == expected
    for start in (1, 5, 6):
        assert list(await journal.read("r", start)) == expected[1:]
    assert list(await journal.read("r", 7)) == expected[2:]
    assert list(await journal.read("r", 8)) == []
    assert await journal.head("r") == head
    assert await compacting.compact("r", 6, 1) == 0
    expected += await fold(journal, author, 4)
    assert list(await journal.read("r")) == expected
    assert await compacting.compact("r", 12, 1) == 6
    assert await compacting.compact("r", 6, 1) == 0
    expected = [expected[0], *expected[-1:]]
    expected += await author.append(journal, {"status": "completed"}, kind="run.ended")
    assert list(await journal.read("r")) == expected
    assert (await journal.head("r")).status == "completed"
    assert list(await journal.read("other")) == others


@requirement(
    "JOURNAL-89",
    "MUST",
    needs="compacts",
    reason="Who has lost a run must not touch it, and without a snapshot a run could not go on.",
    advice="Look at epoch and record inside the transaction that deletes.",
)
async def test_a_compaction_out_of_place_is_refused(journal: Journal) -> None:
    """Refuses an older epoch (`Fenced`), a record that is no snapshot (`ValueError`), an unknown run; nothing goes."""
    compacting, author = compacting_of(journal), Author("r")
    with pytest.raises(UnknownRun):
        await compacting.compact("r", 3, 1)
    records = await fold(journal, author, 4)
    for seq in (-1, 0, 2, 3, 5, 99):
        with pytest.raises(ValueError, match="snapshot"):
            await compacting.compact("r", seq, 1)
    author.epoch = 2
    records += await author.append(journal, {"owner": "next"}, kind="lease")
    with pytest.raises(Fenced):
        await compacting.compact("r", 4, 1)
    assert list(await journal.read("r")) == records
    with pytest.raises(UnknownRun):
        await compacting.compact("nobody", 4, 1)
    assert await compacting.compact("r", 4, 2) == 3
    await journal.aclose()
    with pytest.raises(StorageUnavailable):
        await compacting.compact("r", 4, 2)


@requirement(
    "JOURNAL-97",
    "MUST",
    needs="compacts",
    reason="A run may be resumed or looked at in the middle of it: a history with some records gone is a damaged one.",
    advice="Say in one transaction where the run goes on; delete behind that.",
)
async def test_readers_find_all_of_it_or_nothing(journal: Journal) -> None:
    """Shows readers at any moment the whole history or the short one, while its owner and other runs append."""
    compacting, author, other = compacting_of(journal), Author("r"), Author("other")
    records = await fold(journal, author, 300)
    whole, short = [record.seq for record in records], [0, 300]
    seen: set[int] = set()
    done = False

    async def look() -> None:
        while not done:
            found = [record.seq for record in await journal.read("r")]
            before = found[: found.index(300) + 1]
            assert before in (whole, short)
            assert found[len(before) :] == list(range(301, found[-1] + 1))
            seen.add(len(before))
            await checkpoint()

    async def write(one: Author) -> None:
        for number in range(20):
            await one.append(journal, {"output": number})

    async with anyio.create_task_group() as group:
        group.start_soon(look)
        async with anyio.create_task_group() as work:
            work.start_soon(write, author)
            work.start_soon(write, other)
            assert await compacting.compact("r", 300, 1) == 299
        done = True
    assert [record.seq for record in await journal.read("r")] == [0, *range(300, 321)]
    assert len(await journal.read("other")) == 20


@requirement(
    "JOURNAL-98",
    "MUST",
    needs="compacts",
    reason="What is deleted stays so, and a store that is opened again must not take it for damage.",
    advice="Keep where the run goes on beside its records, and count with it when the store is verified.",
)
async def test_a_short_history_is_whole_when_it_is_opened_again(journal: Journal, harness: Harness) -> None:
    """Finds, where it is `durable`, the short history when the store is opened again, and goes on with it."""
    author = Author("r")
    records = await fold(journal, author, 20)
    await compacting_of(journal).compact("r", 20, 1)
    if not harness.declared["durable"]:
        assert list(await journal.read("r")) == [records[0], records[20]]
        return
    store = store_of(harness)
    place = store.place(journal)
    await journal.aclose()
    for number in range(2):
        async with store.attach(place) as again:
            found = list(await again.read("r"))
            assert found[:2] == [records[0], records[20]]
            assert [record.seq for record in found] == [0, *range(20, 21 + number)]
            assert (await again.head("r")).status == "running"
            await author.append(again, {"output": number})
