"""The disk: full, or failing in the middle of a write. Nothing acknowledged is lost, and it heals by itself."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.contracts.journal import chain_hash, encode_record
from agentflow_kernel.errors import StorageUnavailable
from agentflow_leveldb._driver import load_driver
from agentflow_leveldb._opened import Transaction
from agentflow_leveldb.journal import LevelJournal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """One loop: the disk is the same for both."""
    return "asyncio"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with 96 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96m", "agentflow", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = f"a small disk cannot be mounted, which needs root: {done.stderr.strip()}"
        if os.environ.get("AGENTFLOW_REQUIRE_SERVICES"):
            pytest.fail(reason)
        pytest.skip(reason)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill_up(place: Path) -> Path:
    """Take all space there is."""
    filler = place / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


async def test_a_full_disk_loses_nothing_and_heals_by_itself(small_disk: Path, author) -> None:
    """Old runs go on while there is space, are refused without it, and go on when there is some again."""
    folder = str(small_disk / "journal")
    journal = LevelJournal(folder, least_free=0.0)
    one = author("one")
    expected = await one.append(journal, count=2)
    filler = fill_up(small_disk)
    refused, outcomes = 0, set()
    for _ in range(400):  # LevelDB has some room in the pages of its log
        seq, prev_hash = one.next_seq, one.prev_hash
        try:
            expected += await one.append(journal, "x" * 200_000)
        except StorageUnavailable as error:
            outcomes.add(error.executed)
            one.next_seq, one.prev_hash = seq, prev_hash
            refused += 1
            if refused == 3:
                break
            fill_up(small_disk)
    assert refused == 3
    assert outcomes <= {"no", "maybe"}  # where not even the ballast is left, nobody can look
    filler.unlink()
    found = list(await journal.read("one"))
    assert found[: len(expected)] == expected
    assert len(found) <= len(expected) + 1
    one.next_seq, one.prev_hash = len(found), chain_hash(encode_record(found[-1]))
    expected = found + await one.append(journal, "healed")
    assert await journal.read("one") == expected
    await journal.aclose()
    again = LevelJournal(folder, least_free=0.0)
    assert await again.read("one") == expected
    await again.aclose()


async def test_a_full_disk_does_not_keep_the_store_shut(small_disk: Path, author) -> None:
    """The ballast makes room for opening; it is taken on board again when there is space."""
    folder = small_disk / "journal"
    journal = LevelJournal(str(folder), least_free=0.0)
    expected = await author("one").append(journal, "x" * 100_000, count=20)
    await journal.aclose()
    assert (folder / "ballast").stat().st_size == 16 * 1024 * 1024
    filler = fill_up(small_disk)
    journal = LevelJournal(str(folder), least_free=0.0)
    assert await journal.read("one") == expected
    await journal.aclose()
    filler.unlink()
    journal = LevelJournal(str(folder), least_free=0.0)
    assert await journal.read("one") == expected
    await journal.aclose()
    assert (folder / "ballast").exists()


async def test_little_space_refuses_new_runs_only(folder: str, author) -> None:
    """A run that has begun is finished."""
    old = author("old")
    journal = LevelJournal(folder)
    await old.append(journal)
    await journal.aclose()
    journal = LevelJournal(folder, least_free=0.999999)
    await old.append(journal)
    with pytest.raises(StorageUnavailable, match="takes no new run") as refused:
        await author("new").append(journal)
    assert refused.value.executed == "no"
    await old.append(journal)
    assert [info.run_id for info in await journal.runs()] == ["old"]
    await journal.aclose()


@pytest.mark.parametrize("written", [False, True])
async def test_a_write_that_fails_is_never_synced_again_but_looked_for(
    folder: str, author, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    """The store is opened anew, which says whether the write is there: then it counts, else nothing of it is kept."""
    one = author("one")
    journal = LevelJournal(folder)
    expected = await one.append(journal)
    commit, calls = Transaction.commit, []

    def fail(self: Transaction) -> bool:
        calls.append(self)
        if len(calls) > 1:
            return commit(self)
        if written:
            commit(self)
        raise load_driver().IOError(b"IO error: fdatasync: Input/output error")

    monkeypatch.setattr(Transaction, "commit", fail)
    before = one.next_seq, one.prev_hash
    if written:
        expected += await one.append(journal)
    else:
        with pytest.raises(StorageUnavailable, match="Input/output") as refused:
            await one.append(journal)
        assert refused.value.executed == "no"
        one.next_seq, one.prev_hash = before
    assert len(calls) == 1
    assert await journal.read("one") == expected
    expected += await one.append(journal)
    assert await journal.read("one") == expected
    await journal.aclose()


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, author) -> None:
    (tmp_path / "file").write_text("no folder")
    journal = LevelJournal(str(tmp_path / "file" / "journal"))
    with pytest.raises(StorageUnavailable, match="cannot be created"):
        await author("r").append(journal)
    await journal.aclose()
