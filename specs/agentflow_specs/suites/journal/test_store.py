"""The store: what was acknowledged is there in the next process, and what was spoiled is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from anyio.to_thread import run_sync

from agentflow_kernel.errors import CorruptRecord, Fenced
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.journal.abilities import damager_of, store_of
from agentflow_specs.suites.journal.author import Author
from agentflow_specs.suites.journal.children import BATCH, kill_appending_child, run_child

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Journal
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio


@pytest.fixture
def target(request: pytest.FixtureRequest) -> str:
    """How a child finds the harness."""
    found: str = request.config.getoption("--harness")
    return found


@requirement(
    "JOURNAL-80",
    "MUST",
    needs="durable",
    reason="A run is resumed by another process.",
    advice="Nothing that is needed to read may live in the journal object.",
)
async def test_what_was_acknowledged_is_there_when_opened_again(journal: Journal, harness: Harness) -> None:
    """Finds records, heads, lists and blobs in the store when another journal is opened on it."""
    store = store_of(harness)
    authors = [Author(f"r{number}", started_at=float(number)) for number in range(5)]
    expected = {author.run_id: await author.append(journal, 1, 2) for author in authors}
    ref = await journal.put_blob(b"kept" * 1000)
    await authors[0].append(journal, {"status": "completed"}, kind="run.ended")
    heads = list(await journal.runs())
    place = store.place(journal)
    await journal.aclose()
    async with store.attach(place) as again:
        assert list(await again.runs()) == heads
        for run_id, records in expected.items():
            assert list(await again.read(run_id))[:2] == records
        assert await again.get_blob(ref) == b"kept" * 1000
        await authors[1].append(again, "goes on")
        authors[2].epoch = 9
        await authors[2].append(again)
    async with store.attach(place) as again:
        assert len(await again.read("r1")) == 3
        with pytest.raises(Fenced):
            await Author("r2", epoch=8).append(again)


@requirement(
    "JOURNAL-81",
    "MUST",
    needs="durable",
    reason="An acknowledged step is never executed again: its record must survive its process.",
    advice="Sync before the append returns; one batch is one transaction.",
)
async def test_a_killed_process_loses_nothing_that_was_acknowledged(
    journal: Journal, harness: Harness, target: str
) -> None:
    """Has, after its process was killed while appending, every acknowledged batch, and no batch in part; it goes on."""
    store = store_of(harness)
    await Author("first").append(journal)
    place = store.place(journal)
    await journal.aclose()
    for least in (5, 60):
        acknowledged = await run_sync(kill_appending_child, target, place, least)
        async with store.attach(place) as again:
            for run_id, end in acknowledged.items():
                records = await again.read(run_id)
                assert len(records) >= end
                assert len(records) % BATCH == 0
                assert (await again.head(run_id)).next_seq == len(records)
                following = Author(run_id, epoch=1 << 40)
                following.next_seq = len(records)
                await following.append(again, kind="lease")
            assert len(await again.read("first")) == 1


@requirement(
    "JOURNAL-82",
    "MUST",
    needs="durable",
    reason="Commands look at runs while a worker is at work; two workers on a store for one would destroy it.",
    advice="Let others in, or hold a lock of the store and refuse them with a typed error.",
)
async def test_another_process_takes_part_or_is_refused(journal: Journal, harness: Harness, target: str) -> None:
    """Lets a second process read and append, both seeing each other, if `shared`; else refuses it, unharmed itself."""
    store = store_of(harness)
    author = Author("r")
    await author.append(journal, 1, 2)
    answer = await run_sync(run_child, target, "take", store.place(journal), "r")
    if harness.declared["shared"]:
        assert answer == {"read": 2, "status": "running", "appended": 2}
        with pytest.raises(Fenced):
            await author.append(journal)
        assert (await journal.head("r")).owner == "child"
        assert [record.epoch for record in await journal.read("r")] == [1, 1, 2]
    else:
        assert answer == {"refused": "StorageUnavailable", "executed": "no"}
        await author.append(journal)
        assert len(await journal.read("r")) == 3


@requirement(
    "JOURNAL-90",
    "MUST",
    needs="damage",
    reason="A step that is resumed from a spoiled record does the wrong thing, with confidence.",
    advice="Check the CRC of every record that is read, its place, and that there is no gap.",
)
async def test_a_spoiled_record_is_found_and_harms_its_run_only(journal: Journal, harness: Harness) -> None:
    """Raises `CorruptRecord` with the run and place of a spoiled record; other runs go on as if nothing were."""
    damager, store = damager_of(harness), store_of(harness)
    authors = {name: Author(name) for name in "abc"}
    for author in authors.values():
        await author.append(journal, *range(5))
    place = store.place(journal)
    await journal.aclose()
    await run_sync(damager.damage_record, place, "b", 2)
    async with store.attach(place) as again:
        with pytest.raises(CorruptRecord) as found:
            await again.read("b")
        assert (found.value.run_id, found.value.seq) == ("b", 2)
        for name in "ac":
            assert len(await again.read(name)) == 5
            await authors[name].append(again)
        assert {info.run_id for info in await again.runs()} == set("abc")


@requirement(
    "JOURNAL-91",
    "MUST",
    needs="damage",
    reason="A run whose end is unknown must neither go on nor vanish: people have to see it.",
    advice="Raise CorruptRecord from head, read and append; give it the status quarantined in lists.",
)
async def test_a_run_with_a_spoiled_end_is_quarantined(journal: Journal, harness: Harness) -> None:
    """Takes no append for a run whose last record is spoiled, and lists it as `quarantined`; others go on."""
    damager, store = damager_of(harness), store_of(harness)
    good, bad = Author("good", started_at=2.0), Author("bad", started_at=1.0)
    await good.append(journal, 1, 2, 3)
    await bad.append(journal, 1, 2, 3)
    place = store.place(journal)
    await journal.aclose()
    await run_sync(damager.damage_record, place, "bad", 2)
    async with store.attach(place) as again:
        for call in (again.read("bad"), again.head("bad"), bad.append(again)):
            with pytest.raises(CorruptRecord) as found:
                await call
            assert found.value.run_id == "bad"
        await good.append(again)
        listed = {info.run_id: info.status for info in await again.runs()}
        assert listed == {"good": "running", "bad": "quarantined"}
        assert [info.run_id for info in await again.runs(status="quarantined")] == ["bad"]
        assert [info.run_id for info in await again.runs(status="running")] == ["good"]


@requirement(
    "JOURNAL-92",
    "MUST",
    needs="damage",
    reason="A payload by reference is part of the record that names it.",
    advice="Compare the hash of what was read with the reference.",
)
async def test_a_spoiled_blob_is_found(journal: Journal, harness: Harness) -> None:
    """Raises `CorruptRecord` for a spoiled blob, and for no other."""
    damager, store = damager_of(harness), store_of(harness)
    refs = [await journal.put_blob(data) for data in (b"good" * 100, b"bad!" * 100)]
    place = store.place(journal)
    await journal.aclose()
    await run_sync(damager.damage_blob, place, refs[1])
    async with store.attach(place) as again:
        with pytest.raises(CorruptRecord, match="hash"):
            await again.get_blob(refs[1])
        assert await again.get_blob(refs[0]) == b"good" * 100


@requirement(
    "JOURNAL-93",
    "SHOULD",
    needs="damage",
    reason="The step that made a payload may be executed again and have it at hand.",
    advice="Write what is stored again unless it is the same bytes.",
)
async def test_a_spoiled_blob_is_put_right_by_storing_it_again(journal: Journal, harness: Harness) -> None:
    """Puts a spoiled blob right when the same bytes are stored again."""
    damager, store = damager_of(harness), store_of(harness)
    ref = await journal.put_blob(b"data" * 100)
    place = store.place(journal)
    await journal.aclose()
    await run_sync(damager.damage_blob, place, ref)
    async with store.attach(place) as again:
        assert await again.put_blob(b"data" * 100) == ref
        assert await again.get_blob(ref) == b"data" * 100
