"""A process that is gone at any durable operation of any flow: the next one ends the run as if nothing had happened."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from crash import Estate, Life, names, open_intents, problems_of
from flows import CASES
from flows.folded import SHORT
from mortal import Doom

from agentflow_kernel.errors import HistoryCompacted
from agentflow_kernel.run.history_limits import Limits
from agentflow_kernel.testing import FakeClock, InProcessJournal, InProcessMemory
from agentflow_sqlite.journal import SqliteJournal
from agentflow_sqlite.memory import SqliteMemory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from flows import Case

pytestmark = [pytest.mark.anyio, pytest.mark.chaos, pytest.mark.timeout(20)]

LONG = os.environ.get("AGENTFLOW_CHAOS", "short") == "long"
SEED = int(os.environ.get("AGENTFLOW_CHAOS_SEED", "20251"))
ON_DISK = 4
"""Crash points of each flow that the short form tries on a disk; in memory it tries all."""


async def operations_of(case: Case, folder: Path, limits: Limits | None = None) -> int:
    """How many durable operations the flow has when nothing happens."""
    doom = Doom()
    estate = Estate(InProcessJournal(), InProcessMemory(), str(folder))
    assert await Life(case, estate, 1, doom, limits=limits).live() == case.ends[0]
    return doom.operations


async def check_after_death(case: Case, estate: Estate) -> list[str]:
    """Let a second process end what the first one left; what is wrong then."""
    unknown = {path for records in (await estate.histories()).values() for path in open_intents(records)}
    ended = await Life(case, estate, 2).live()
    ends = case.ends if unknown else case.ends[:1]
    problems = [] if ended in ends else [f"it ended {ended!r}, expected one of {ends!r}"]
    return problems + await problems_of(case, estate)


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", names())
async def test_a_flow_survives_a_death_at_each_of_its_durable_operations(
    name: str, applied: bool, tmp_path: Path
) -> None:
    """In memory: every operation, before it is carried out and after."""
    case = CASES[name]
    count = await operations_of(case, tmp_path / "whole")
    assert count >= 2
    for moment in range(1, count + 1):
        estate = Estate(InProcessJournal(), InProcessMemory(), str(tmp_path / str(moment)))
        doom = Doom(moment, applied=applied)
        ended = await Life(case, estate, 1, doom).live()
        if ended is not None:  # what is cancelled may have come further the first time, in another order of tasks
            assert (ended, doom.operations < moment) == (case.ends[0], True)
            continue
        problems = await check_after_death(case, estate)
        assert not problems, f"{name}: gone at operation {moment} of {count}: {problems}"
    print(f"{name}: {count} crash points in memory, {'after' if applied else 'before'} the operation")


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("folded")])
async def test_a_run_whose_history_is_shortened_survives_a_death_at_each_operation(
    name: str, applied: bool, tmp_path: Path
) -> None:
    """Also round the deletion of what lies before a snapshot, which is such an operation."""
    case = CASES[name]
    count = await operations_of(case, tmp_path / "whole", SHORT)
    assert count > await operations_of(case, tmp_path / "plain")
    for moment in range(1, count + 1):
        estate = Estate(InProcessJournal(), InProcessMemory(), str(tmp_path / str(moment)))
        assert await Life(case, estate, 1, Doom(moment, applied=applied), limits=SHORT).live() is None
        assert await Life(case, estate, 2, limits=SHORT).live() == case.ends[0]
        assert await problems_of(case, estate) == []
    print(f"{name}, shortened: {count} crash points in memory, {'after' if applied else 'before'} the operation")


@pytest.mark.parametrize(
    "limits",
    [None, Limits(snapshot_records=2), Limits(snapshot_records=2, compact=True)],
    ids=["", "folded", "compacted"],
)
@pytest.mark.parametrize("name", names())
async def test_a_flow_survives_a_death_in_each_of_its_lives(name: str, limits: Limits | None, tmp_path: Path) -> None:
    """Every process manages a few operations; the run ends all the same, and nothing is lost or done twice.

    Folded, its history becomes a snapshot wherever it can; compacted, nothing but that is left.
    """
    case = CASES[name]
    estate = Estate(InProcessJournal(), InProcessMemory(), str(tmp_path))
    may_be_unknown = bool(case.otherwise)
    for number in range(1, 200):
        doom = Doom(0 if number == 199 else 3 + number % 10, applied=number % 2 == 0)
        try:
            ended = await Life(case, estate, number, doom, limits=limits).live()
        except HistoryCompacted:
            assert limits is not None
            assert limits.compact
            assert name in ("retried_from", "forked_from"), "only a copy from what is gone may be refused"
            return
        if ended is not None:
            break
    assert ended in (case.ends if may_be_unknown else case.ends[:1])
    assert number < 199, "it never got to its end"
    assert await problems_of(case, estate) == []


@pytest.fixture
def fast_folder() -> Iterator[Path]:
    """A folder in memory: a process that dies leaves what it has written, synced or not."""
    place = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 -- a fresh folder is made in it
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


class Disk:
    """The SQLite files of one process, and a copy of them as it left them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.journal = SqliteJournal(str(folder / "journal.db"))
        self.memory = SqliteMemory(str(folder / "memory.db"), clock=FakeClock())

    def estate(self, before: Estate | None = None) -> Estate:
        """What the process has, with what another one left."""
        estate = Estate(self.journal, self.memory, str(self.folder / "state"))
        if before is not None:
            estate.auditor, estate.answers = before.auditor, before.answers
        return estate

    async def as_left(self, folder: Path) -> Disk:
        """The files as they lie there now, without the orderly end that would follow."""
        self._copy_to(folder)
        await self.aclose()
        return Disk(folder)

    def _copy_to(self, folder: Path) -> None:
        folder.mkdir()
        for file in self.folder.iterdir():
            if file.is_dir():
                shutil.copytree(file, folder / file.name)
            elif not file.name.endswith("-shm"):
                shutil.copy(file, folder)

    async def aclose(self) -> None:
        """Close what is open."""
        await self.journal.aclose()
        await self.memory.aclose()


@pytest.fixture
async def disks() -> AsyncIterator[list[Disk]]:
    """Closes what a test has opened."""
    opened: list[Disk] = []
    yield opened
    for disk in opened:
        await disk.aclose()


@pytest.mark.blocking
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("name", names())
async def test_a_flow_on_a_disk_survives_a_death_at_its_durable_operations(
    name: str, fast_folder: Path, disks: list[Disk]
) -> None:
    """On SQLite: the next process finds the files as the dead one left them, log not copied, heads not written."""
    case = CASES[name]
    count = await operations_of(case, fast_folder / "whole")
    points: list[tuple[int, bool]] = [(moment, applied) for moment in range(1, count + 1) for applied in (False, True)]
    if not LONG:
        points = random.Random(f"{SEED} {name}").sample(points, min(ON_DISK, len(points)))
    for moment, applied in points:
        disk = Disk(fast_folder / f"{moment}-{applied}")
        disks.append(disk)
        first = disk.estate()
        doom = Doom(moment, applied=applied)
        if await Life(case, first, 1, doom).live() is not None:
            assert doom.operations < moment
            continue
        left = await disk.as_left(fast_folder / f"{moment}-{applied}-left")
        disks.append(left)
        problems = await check_after_death(case, left.estate(first))
        assert not problems, (
            f"{name}: gone at operation {moment} of {count} (applied {applied}, seed {SEED}): {problems}"
        )
    print(f"{name}: {len(points)} crash points on a disk, of {2 * count}")
