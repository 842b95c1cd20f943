"""A process that is gone at any durable operation of any flow: the next one ends the run as if nothing had happened."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from crash import Estate, Life, Lived, judge, live_through, names, problems_of
from flows import CASES
from flows.folded import SHORT
from mortal import Doom

from agentflow_kernel.errors import HistoryCompacted
from agentflow_kernel.run.history_limits import Limits
from agentflow_kernel.testing import FakeClock, InProcessJournal, InProcessMemory, try_crash_points_of
from agentflow_kernel.testing.faults import CrashAt
from agentflow_sqlite.journal import SqliteJournal
from agentflow_sqlite.memory import SqliteMemory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = [pytest.mark.anyio, pytest.mark.chaos, pytest.mark.timeout(300)]

LONG = os.environ.get("AGENTFLOW_CHAOS", "short") == "long"
SEED = int(os.environ.get("AGENTFLOW_CHAOS_SEED", "20251"))
ON_DISK = 4
"""Crash points of each flow that the short form tries on a disk; in memory it tries all."""


@pytest.mark.parametrize("name", names())
def test_a_flow_survives_a_death_at_each_of_its_durable_operations(
    name: str, anyio_backend: str, tmp_path: Path
) -> None:
    """In memory: every operation, before it is carried out and after."""
    folders = count()

    def run(fault: CrashAt) -> Lived:
        estate = Estate(InProcessJournal(), InProcessMemory(), str(tmp_path / str(next(folders))))
        return anyio.run(live_through, CASES[name], estate, fault, _as_it_is, backend=anyio_backend)

    points = try_crash_points_of(run, judge=judge)
    points.check()
    assert points.tried >= 4
    print(f"{name}: {points.tried} crash points in memory")


async def _as_it_is(estate: Estate) -> Estate:
    return estate


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("folded")])
def test_a_run_whose_history_is_shortened_survives_a_death_at_each_operation(
    name: str, anyio_backend: str, tmp_path: Path
) -> None:
    """Also round the deletion of what lies before a snapshot, which is such an operation."""
    folders = count()

    def run(fault: CrashAt, limits: Limits | None = SHORT) -> Lived:
        estate = Estate(InProcessJournal(), InProcessMemory(), str(tmp_path / str(next(folders))))
        live = partial(live_through, CASES[name], estate, fault, _as_it_is, limits=limits)
        return anyio.run(live, backend=anyio_backend)

    points = try_crash_points_of(run, judge=judge)
    points.check()
    assert points.undisturbed.operations > run(CrashAt(0, "before"), None).operations
    print(f"{name}, shortened: {points.tried} crash points in memory")


@pytest.mark.parametrize("name", names())
async def test_a_flow_survives_a_death_in_each_of_its_lives(name: str, tmp_path: Path) -> None:
    """Every process manages a few operations; the run ends all the same, and nothing is lost or done twice."""
    await die_again_and_again(name, None, tmp_path)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"] if LONG else ["asyncio"])
@pytest.mark.parametrize("compact", [False, True], ids=["folded", "compacted"])
@pytest.mark.parametrize("name", names())
async def test_a_flow_that_is_folded_survives_a_death_in_each_of_its_lives(
    name: str, compact: bool, tmp_path: Path
) -> None:
    """Its history becomes a snapshot wherever it can; compacted, nothing but that is left."""
    await die_again_and_again(name, Limits(snapshot_records=2, compact=compact), tmp_path)


async def die_again_and_again(name: str, limits: Limits | None, tmp_path: Path) -> None:
    """Let one process after the other die until the run has ended."""
    case = CASES[name]
    estate = Estate(InProcessJournal(), InProcessMemory(), str(tmp_path))
    may_be_unknown = bool(case.otherwise)
    for number in range(1, 200):
        doom = Doom(CrashAt(0 if number == 199 else 3 + number % 10, "before" if number % 2 else "after"))
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


@pytest.mark.blocking
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("name", names())
def test_a_flow_on_a_disk_survives_a_death_at_its_durable_operations(
    name: str, anyio_backend: str, fast_folder: Path
) -> None:
    """On SQLite: the next process finds the files as the dead one left them, log not copied, heads not written."""
    folders = count()

    async def live(fault: CrashAt) -> Lived:
        place = fast_folder / str(next(folders))
        disks = [Disk(place)]

        async def inherit(first: Estate) -> Estate:
            disks.append(await disks[0].as_left(fast_folder / f"{place.name}-left"))
            return disks[1].estate(first)

        try:
            return await live_through(CASES[name], disks[0].estate(), fault, inherit)
        finally:
            for disk in disks:
                await disk.aclose()

    def some(points: Sequence[tuple[int, str]]) -> Sequence[tuple[int, str]]:
        return points if LONG else random.Random(f"{SEED} {name}").sample(points, min(ON_DISK, len(points)))

    points = try_crash_points_of(lambda fault: anyio.run(live, fault, backend=anyio_backend), judge=judge, choose=some)
    points.check()
    print(f"{name}: {points.tried} crash points on a disk (seed {SEED})")
