"""Damage: nothing that was acknowledged is ever missing without an error that says so."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from agentflow_kernel.contracts.journal import Record
from agentflow_kernel.errors import AgentFlowError, CorruptRecord, NewerSchema, StorageUnavailable, UsageError
from agentflow_leveldb._driver import load_driver
from agentflow_leveldb._layout import VERSION, encode_number, record_key
from agentflow_leveldb.journal import LevelJournal

pytestmark = pytest.mark.anyio

TRIALS = int(os.environ.get("AGENTFLOW_LEVELDB_TRIALS", "100"))
RUNS, BATCHES = 8, 6


@pytest.fixture
def anyio_backend() -> str:
    """One loop: what is found does not depend on it."""
    return "asyncio"


async def fill(folder: str, author, *, sessions: int = 2) -> dict[str, list[Record]]:
    """A small store, partly in tables and partly in the log; one run is compacted in each session."""
    authors = [author(f"run-{number}") for number in range(RUNS)]
    expected: dict[str, list[Record]] = {one.run_id: [] for one in authors}
    for session in range(sessions):
        journal = LevelJournal(folder)
        for batch in range(BATCHES):
            for one in authors[session:]:
                expected[one.run_id] += await one.append(journal, os.urandom(150).hex(), count=1 + batch % 2)
        short = authors[-1]
        seq, (snapshot,) = short.next_seq, short.write("snapshot", {"v": 1})
        await journal.append(short.run_id, seq, 1, [snapshot])
        await journal.compact(short.run_id, seq, 1)
        expected[short.run_id] = [expected[short.run_id][0], snapshot]
        await journal.aclose()
    return expected


async def find_losses(folder: str, expected: dict[str, list[Record]]) -> tuple[list[str], int]:
    """The runs that read as something else than what was appended, without an error; and how many errors there were."""
    silent, errors = [], 0
    journal = LevelJournal(folder)
    for run_id, records in expected.items():
        try:
            found = list(await journal.read(run_id))
            head = await journal.head(run_id)
        except AgentFlowError:
            errors += 1
            continue
        if found != records or head.next_seq != records[-1].seq + 1:
            silent.append(run_id)
    await journal.aclose()
    return silent, errors


def flip(path: Path, chance: random.Random) -> None:
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def cut(path: Path, chance: random.Random) -> None:
    """Cut off the end."""
    os.truncate(path, chance.randrange(path.stat().st_size))


def zero(path: Path, chance: random.Random) -> None:
    """Overwrite the end with zeros."""
    size = path.stat().st_size
    keep = chance.randrange(size)
    path.write_bytes(path.read_bytes()[:keep] + bytes(size - keep))


def lose(path: Path, chance: random.Random) -> None:
    """The file is gone."""
    path.unlink()


def cut_log(folder: str) -> None:
    """The log is empty, as after a power cut on a disk that had not written it."""
    (log,) = Path(folder, "db").glob("*.log")
    os.truncate(log, 0)


@pytest.mark.timeout(60 + TRIALS)
@pytest.mark.parametrize("harm", [flip, cut, zero, lose])
async def test_no_damage_is_silent(folder: str, tmp_path: Path, author, harm, request) -> None:
    """After damage at a random place of a random file, each run reads as it was, or raises a typed error."""
    expected = await fill(folder, author)
    chance = random.Random(f"{request.node.name} {TRIALS}")
    assert await find_losses(folder, expected) == ([], 0)
    noticed = 0
    for trial in range(TRIALS // 4):
        copy = tmp_path / f"trial-{trial}"
        await run_sync(shutil.copytree, folder, copy)
        files = sorted(path for path in (copy / "db").iterdir() if path.name[0] != "L" and path.stat().st_size)
        hurt = chance.choice(files)
        harm(hurt, chance)
        silent, errors = await find_losses(str(copy), expected)
        assert silent == [], (trial, hurt.name)
        again, _ = await find_losses(str(copy), expected)
        assert again == [], (trial, hurt.name, "opened again")
        noticed += errors > 0
        await run_sync(shutil.rmtree, copy)
    assert noticed, "no trial has hit anything"


async def test_a_missing_end_quarantines_its_runs_and_others_go_on(folder: str, author) -> None:
    """LevelDB takes a cut log for a torn write; the high-water mark knows better."""
    good, bad = author("good"), author("bad")
    journal = LevelJournal(folder)
    await good.append(journal, count=3)
    await bad.append(journal, count=2)
    await journal.aclose()
    journal = LevelJournal(folder)
    await bad.append(journal, count=4)
    await journal.aclose()
    cut_log(folder)
    for _ in range(2):
        journal = LevelJournal(folder)
        with pytest.raises(CorruptRecord, match="4 of its records are missing"):
            await journal.read("bad")
        with pytest.raises(CorruptRecord):
            await bad.append(journal)
        assert [info.run_id for info in await journal.runs(status="quarantined")] == ["bad"]
        assert len(await journal.read("good")) == good.next_seq
        await good.append(journal)
        await journal.aclose()
    assert sum(name.startswith("damaged-") for name in os.listdir(folder)) == 1


async def test_a_run_that_was_damaged_stays_quarantined_when_the_store_is_counted_again(folder: str, author) -> None:
    """A spoiled record in the middle, and then the loss of another run's end: neither is forgotten."""
    middle, end, good = author("middle"), author("end"), author("good")
    journal = LevelJournal(folder)
    for one in (middle, end, good):
        await one.append(journal, count=4)
    await journal.aclose()
    db = load_driver().DB(str(Path(folder, "db")))
    db.put(record_key("middle", 1), b"spoiled", sync=True)
    db.close()
    lost = {"middle"}
    for one in (end, author("another")):
        journal = LevelJournal(folder)
        await one.append(journal, count=2)
        await journal.aclose()
        cut_log(folder)
        lost.add(one.run_id)
        for _ in range(2):
            journal = LevelJournal(folder)
            await good.append(journal)
            assert {info.run_id for info in await journal.runs(status="quarantined")} == lost
            for run_id in lost:
                with pytest.raises(CorruptRecord):
                    await journal.head(run_id)
                with pytest.raises(CorruptRecord):
                    await journal.append(run_id, 1, 1, [Record(run_id, 1, "decision", "", None, 1)])
            assert len(await journal.read("good")) == good.next_seq
            await journal.aclose()


async def test_a_loss_that_nobody_can_place_keeps_the_store_shut_until_it_is_accepted(
    folder: str, author, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark holds only the ends of the runs of late."""
    monkeypatch.setattr("agentflow_leveldb._opened.REMEMBERED", 0)
    kept = author("kept")
    journal = LevelJournal(folder)
    await kept.append(journal)
    await journal.aclose()
    journal = LevelJournal(folder)
    await author("gone").append(journal, count=3)
    await journal.aclose()
    cut_log(folder)
    for _ in range(2):
        journal = LevelJournal(folder)
        with pytest.raises(StorageUnavailable, match="has lost 3 records"):
            await journal.runs()
        with pytest.raises(StorageUnavailable, match="accept_loss"):
            await kept.append(journal)
        kept.next_seq -= 1
        await journal.aclose()
    journal = LevelJournal(folder, accept_loss=True)
    assert [info.run_id for info in await journal.runs()] == ["kept"]
    await journal.aclose()
    journal = LevelJournal(folder)
    assert len(await journal.read("kept")) == 1
    await journal.aclose()


async def test_a_newer_schema_is_refused_by_name(folder: str, author) -> None:
    journal = LevelJournal(folder)
    await author("r").append(journal)
    await journal.aclose()
    db = load_driver().DB(str(Path(folder, "db")))
    db.put(VERSION, encode_number(9))
    db.close()
    journal = LevelJournal(folder)
    with pytest.raises(NewerSchema, match="schema version 9"):
        await journal.read("r")
    await journal.aclose()


async def test_a_store_of_something_else_is_refused_and_left_alone(folder: str, author) -> None:
    os.makedirs(folder)
    path = str(Path(folder, "db"))
    db = load_driver().DB(path, create_if_missing=True)
    db.put(b"theirs", b"1")
    db.close()
    journal = LevelJournal(folder)
    with pytest.raises(UsageError, match="something else"):
        await author("r").append(journal)
    await journal.aclose()
    db = load_driver().DB(path)
    assert list(db) == [(b"theirs", b"1")]
    db.close()
