"""Damage of the files of a journal: none is silent, the runs that it hits are set aside, and the others go on."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from crash import Estate, Life
from flows import CASES, World
from mortal import Doom

from agentflow_kernel import Kernel
from agentflow_kernel.contracts.journal import decode_record, encode_record
from agentflow_kernel.errors import AgentFlowError, RunError
from agentflow_kernel.testing import InProcessMemory
from agentflow_kernel.testing.auditor import find_problems
from agentflow_kernel.testing.faults import CrashAt
from agentflow_sqlite.journal import SqliteJournal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONG = os.environ.get("AGENTFLOW_CHAOS", "short") == "long"
SEED = int(os.environ.get("AGENTFLOW_CHAOS_SEED", "20251"))
FLIPS, CUTS = (1000, 100) if LONG else (150, 20)
PLAYED = ("sequence", "fork_all", "batch_skip", "agent_tools", "phases", "nested_batch")
OPEN = {"waiting": 4, "substeps": 6}
"""Flows whose process ends at so many operations: their runs are open."""

RESUMED = {
    "substeps": 6, "patched": 3, "typed_state": 4, "pure": 2, "undone": 4, "agent_alone": 3, "drawing": 2,
    "folded_undone": 9, "agent_batch": 4,
}  # fmt: skip
"""Flows whose runs are open as well, and need nobody to go on."""

pytestmark = [pytest.mark.anyio, pytest.mark.chaos, pytest.mark.timeout(1800), pytest.mark.blocking]
Runs = dict[str, list[bytes]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory."""
    place = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 -- a fresh folder is made in it
    with tempfile.TemporaryDirectory(dir=place) as name:
        yield Path(name)


async def fill(folder: Path, *, orderly: bool, left_open: Mapping[str, int] = OPEN) -> tuple[Path, Runs]:
    """The files as a process left them, by its own end or without one, and the records that were acknowledged."""
    place, left = folder / "live", folder / "left"
    place.mkdir()
    journal = SqliteJournal(str(place / "journal.db"))
    estate = Estate(journal, InProcessMemory())
    for name in PLAYED:
        assert await Life(CASES[name], estate, 1).live() == CASES[name].ends[0]
    for name, moment in left_open.items():
        assert await Life(CASES[name], estate, 1, Doom(CrashAt(moment, "before"))).live() is None
    runs = {run_id: [encode_record(each) for each in found] for run_id, found in (await estate.histories()).items()}
    if orderly:
        await journal.aclose()
    shutil.copytree(place, left, ignore=shutil.ignore_patterns("*-shm"))
    await journal.aclose()
    return left, runs


async def look(damaged: Path, runs: Runs) -> Counter[str]:
    """What a new process finds of each run: ``whole``, ``refused`` with a typed error, or something ``else``."""
    found = Counter[str]()
    journal = SqliteJournal(str(damaged / "journal.db"))
    try:
        for run_id, lines in runs.items():
            try:
                same = [encode_record(record) for record in await journal.read(run_id)] == lines
                found["whole" if same else "else"] += 1
            except AgentFlowError:
                found["refused"] += 1
        try:
            listed = await journal.runs(limit=1000)
            known = {info.run_id for info in listed}
            renamed = sum(info.status == "quarantined" and info.run_id not in runs for info in listed)
            found["else"] += max(0, len(runs.keys() - known) - renamed)  # it is the name that is damaged
        except AgentFlowError:
            found["list refused"] += 1
    finally:
        await journal.aclose()
    return found


def damage(left: Path, copy: Path, how: str, dice: random.Random) -> str:
    """A damaged copy of the files; what was done to it."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(left, copy)
    file = copy / "journal.db"
    content = bytearray(file.read_bytes())
    place = dice.randrange(len(content))
    if how == "flip":
        content[place] ^= 1 << dice.randrange(8)
    elif how == "cut":
        del content[place:]
    else:
        content[place:] = bytes(len(content) - place)
    file.write_bytes(content)
    return f"{how} at {place} of {len(content)}"


def acknowledged(log: bytes) -> int:
    """Up to where the write-ahead log surely was acknowledged: the end of the last transaction but one.

    Nobody can tell whether the last one was: a crash in its middle leaves it just so.
    """
    frame = 24 + int.from_bytes(log[8:12], "big")
    starts = range(32, len(log) - frame + 1, frame)
    ours = [start for start in starts if log[start + 8 : start + 16] == log[16:24]]
    commits = [start for start in ours if any(log[start + 4 : start + 8])]
    return commits[-2] + frame


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_no_flipped_bit_of_the_write_ahead_log_is_silent(folder: Path) -> None:
    """After a kill: SQLite would ignore the frame and all behind it; the journal is refused with a typed error."""
    left, runs = await fill(folder, orderly=False)
    dice, copy, told = random.Random(f"{SEED} log"), folder / "copy", 0
    whole = (left / "journal.db-wal").read_bytes()
    for _ in range(FLIPS // 5):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(left, copy)
        content, place = bytearray(whole), dice.randrange(acknowledged(whole))
        content[place] ^= 1 << dice.randrange(8)
        (copy / "journal.db-wal").write_bytes(content)
        found = await look(copy, runs)
        assert not found["else"], f"silent: flip at {place} of {len(content)}: {found} (seed {SEED})"
        told += bool(found["refused"])
    assert told > FLIPS // 5 * 0.9
    print(f"{FLIPS // 5} flips of the log: {told} told, silent 0 (seed {SEED})")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_torn_end_of_the_write_ahead_log_is_no_damage(folder: Path) -> None:
    """Wherever a crash has torn the last transaction, the journal opens, and all before it is there."""
    left, runs = await fill(folder, orderly=False)
    copy, whole = folder / "copy", (left / "journal.db-wal").read_bytes()
    end = acknowledged(whole)
    for place in range(end, len(whole), max(1, (len(whole) - end) // 20)):
        for torn in (whole[:place], whole[:place] + bytes(len(whole) - place)):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(left, copy)
            (copy / "journal.db-wal").write_bytes(torn)
            found = await look(copy, runs)
            assert found["whole"] >= len(runs) - 1
            assert not found["refused"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(("how", "times"), [("flip", FLIPS), ("cut", CUTS), ("zero", CUTS)])
async def test_no_damage_of_the_file_is_silent(how: str, times: int, folder: Path) -> None:
    """Flipped bits, a cut tail and a zeroed tail: each run is read as it was written, or refused; none is missing."""
    left, runs = await fill(folder, orderly=True)
    dice, total, hit = random.Random(f"{SEED} {how}"), Counter[str](), 0
    for _ in range(times):
        what = damage(left, folder / "copy", how, dice)
        found = await look(folder / "copy", runs)
        assert not found["else"], f"silent: {what}: {found} (seed {SEED})"
        hit += bool(found["refused"] or found["list refused"])
        total += found
    assert hit
    assert how != "flip" or total["whole"] > total["refused"], "one flipped bit must leave most runs as they are"
    print(f"{times} times {how}: {hit} told, silent 0; runs {dict(total)} (seed {SEED})")


class Restart:
    """A process that finds damaged files and recovers what it can."""

    def __init__(self, folder: Path, runs: Runs) -> None:
        self.folder = folder
        self.runs = runs
        self.records = {run_id: [decode_record(line) for line in lines] for run_id, lines in runs.items()}
        self.again: list[tuple[str, str]] = []
        """Steps that were on record and were executed all the same."""

    async def recover(self) -> bool:
        """Resume all that is open and wait for its end; whether the journal could be opened and listed."""
        world = World(self._note)
        try:
            async with Kernel(
                journal=SqliteJournal(str(self.folder / "journal.db")), memories={"notes": InProcessMemory()}
            ) as kernel:
                for name in RESUMED:
                    kernel.add(CASES[name].build(world))
                for handle in (await kernel.recover(per_s=1e6)).handles:
                    with suppress(RunError):
                        await handle.result()
        except AgentFlowError:
            return False
        return True

    def _note(self, run_id: str, path: str, key: str) -> None:
        if any(record.path == path and record.type == "step.completed" for record in self.records.get(run_id, ())):
            self.again.append((run_id, path))

    async def look(self, *, recovered: bool) -> Counter[str]:
        """What has become of each run: ``whole``, ``ended``, ``refused`` with a typed error, or something ``else``."""
        found = Counter[str]()
        journal = SqliteJournal(str(self.folder / "journal.db"))
        try:
            for run_id, lines in self.runs.items():
                found[await self._what(journal, run_id, lines, recovered=recovered)] += 1
            if recovered and found["else: running"] == 1 and await self._tells_of_a_name(journal):
                found += Counter({"refused": 1, "else: running": -1})
        finally:
            await journal.aclose()
        return found

    async def _tells_of_a_name(self, journal: SqliteJournal) -> bool:
        """Whether the list of runs is refused, or has one that is quarantined under a damaged name."""
        try:
            listed = {info.run_id: info.status for info in await journal.runs(limit=1000)}
        except AgentFlowError:
            return True
        strange = [status for run_id, status in listed.items() if run_id not in self.runs]
        return strange == ["quarantined"] and len(listed) == len(self.runs)

    async def _what(self, journal: SqliteJournal, run_id: str, lines: list[bytes], *, recovered: bool) -> str:
        try:
            records = list(await journal.read(run_id))
            head = await journal.head(run_id)
        except AgentFlowError:
            return "refused"
        if [encode_record(record) for record in records[: len(lines)]] != lines or find_problems(records):
            return "else: other records"
        started: Any = records[0].payload
        case = CASES.get(started["name"].partition("/")[2])
        if self.records[run_id][-1].type == "run.ended":
            return "whole" if len(records) == len(lines) else "else: records after its end"
        if not recovered:
            return "whole"
        status = case.status if case is not None else "completed"
        return "ended" if head.status == status else f"else: {head.status}"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("how", "times"), [("flip", FLIPS // (3 if LONG else 10)), ("cut", CUTS // 4), ("zero", CUTS // 4)]
)
async def test_what_is_not_damaged_is_recovered(how: str, times: int, folder: Path) -> None:
    """A new process ends the open runs that are whole, executes nothing of them twice, and goes on with no other."""
    left, runs = await fill(folder, orderly=True, left_open=RESUMED)
    dice, total, recovered = random.Random(f"{SEED} {how} recovered"), Counter[str](), 0
    for _ in range(times):
        what = damage(left, folder / "copy", how, dice)
        restart = Restart(folder / "copy", runs)
        opened = await restart.recover()
        found = await restart.look(recovered=opened)
        assert not any(each.startswith("else") and found[each] for each in found), (
            f"{what}: {dict(found)} (seed {SEED})"
        )
        assert not restart.again, f"{what}: executed again {restart.again} (seed {SEED})"
        recovered += opened
        total += found
    assert how != "flip" or recovered > times * 0.7
    print(f"{times} times {how}: {recovered} recovered, silent 0; runs {dict(total)} (seed {SEED})")
