"""Concurrency: many runs and many writers at once, and readers meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from agentflow_kernel.contracts.journal import Record
from agentflow_kernel.errors import AppendConflict, Fenced
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.journal.author import Author

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Journal

pytestmark = pytest.mark.anyio

RUNS, STEPS = 100, 5
WRITERS, TURNS = 16, 4


@requirement(
    "JOURNAL-50",
    "MUST",
    reason="One process works on many runs; each must find its own records whole.",
    advice="What is remembered between appends belongs to one run. Let appends that come together share a transaction.",
)
async def test_a_hundred_runs_at_once_are_all_whole(journal: Journal) -> None:
    """Takes the appends of 100 runs at once; every run has all its records, in order, and the right head."""
    written: dict[str, list[Record]] = {}

    async def work(number: int) -> None:
        author = Author(f"run-{number}", started_at=float(number))
        written[author.run_id] = [
            record for step in range(STEPS) for record in await author.append(journal, step, {"step": step})
        ]

    async with anyio.create_task_group() as group:
        for number in range(RUNS):
            group.start_soon(work, number)
    for run_id, records in written.items():
        assert list(await journal.read(run_id)) == records
        assert (await journal.head(run_id)).next_seq == 2 * STEPS
    assert [info.run_id for info in await journal.runs(limit=RUNS + 1)] == [f"run-{n}" for n in reversed(range(RUNS))]


@requirement(
    "JOURNAL-51",
    "MUST",
    reason="Compare-and-set is what keeps two writers of one run from overwriting each other.",
    advice="Compare and append in one transaction, under one lock; look at what is remembered after a refusal.",
)
async def test_sixteen_writers_of_one_run_take_turns(journal: Journal) -> None:
    """Gives each place of a run to exactly one of 16 writers that try at once; the others get `AppendConflict`."""
    won: dict[int, str] = {}

    async def write(name: str) -> None:
        seq = 0
        for turn in range(TURNS):
            while True:
                record = Record("r", seq, "decision", name, turn, 1)
                try:
                    await journal.append("r", seq, 1, [record])
                except AppendConflict as conflict:
                    seq = conflict.next_seq
                else:
                    assert seq not in won
                    won[seq] = name
                    seq += 1
                    break

    async with anyio.create_task_group() as group:
        for number in range(WRITERS):
            group.start_soon(write, f"writer-{number}")
    records = await journal.read("r")
    assert [record.path for record in records] == [won[seq] for seq in range(WRITERS * TURNS)]
    for name in set(won.values()):
        assert [record.payload for record in records if record.path == name] == list(range(TURNS))


@requirement(
    "JOURNAL-52",
    "MUST",
    reason="Two processes that both think they took over a run: one of them has to stop.",
    advice="Raise the epoch in the transaction that compares it.",
)
async def test_of_many_that_take_over_one_wins(journal: Journal) -> None:
    """Lets one of 16 that take a run over at once have it; the others are refused and leave no record."""
    await Author("r").append(journal)
    won: list[int] = []

    async def take(epoch: int) -> None:
        try:
            await journal.append("r", 1, epoch, [Record("r", 1, "lease", "", {"owner": str(epoch)}, epoch)])
        except (AppendConflict, Fenced):
            return
        won.append(epoch)

    async with anyio.create_task_group() as group:
        for epoch in range(2, 18):
            group.start_soon(take, epoch)
    head = await journal.head("r")
    assert won == [head.epoch]
    assert (head.owner, head.next_seq) == (str(head.epoch), 2)


@requirement(
    "JOURNAL-53",
    "MUST",
    reason="A list or a log that is followed must not show what a refused or later half of a batch would be.",
    advice="Read in one snapshot: head and records of the same moment.",
)
async def test_readers_see_whole_batches_while_others_write(journal: Journal) -> None:
    """Shows readers a growing beginning of the run, whole batches only, and a head that has been true."""
    author, done = Author("r"), False
    expected: list[Record] = []

    async def write() -> None:
        nonlocal done
        for _ in range(30):
            expected.extend(await author.append(journal, 1, 2, 3))
        done = True

    async def look() -> None:
        seen = 0
        while not done:
            records = await journal.read("r")
            assert len(records) % 3 == 0
            assert len(records) >= seen
            seen = len(records)
            for info in await journal.runs():
                assert info.next_seq % 3 == 0
                assert info.next_seq >= seen
                seen = info.next_seq
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(look)
        group.start_soon(write)
    assert list(await journal.read("r")) == expected


@requirement(
    "JOURNAL-54",
    "MUST",
    reason="A refused append is an everyday event; it must not cost others their step.",
    advice="A refusal is settled by itself, not by rolling back the transaction that it shares.",
)
async def test_a_refusal_harms_nobody_else(journal: Journal) -> None:
    """Carries out all good appends of many at once of which every third is refused."""
    refused: list[int] = []

    async def work(number: int) -> None:
        seq = number % 3 == 0
        try:
            await journal.append(f"r{number}", seq, 1, [Record(f"r{number}", seq, "decision", "", None, 1)])
        except AppendConflict:
            refused.append(number)

    async with anyio.create_task_group() as group:
        for number in range(60):
            group.start_soon(work, number)
    assert sorted(refused) == list(range(0, 60, 3))
    assert {info.run_id for info in await journal.runs()} == {f"r{number}" for number in range(60) if number % 3}
