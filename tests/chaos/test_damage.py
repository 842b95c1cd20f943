"""Damage of the files of a journal: none is silent, the runs that it hits are set aside, and the others go on."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from crash import Doom, Estate, Life
from flows import CASES

from agentflow_kernel.contracts.journal import encode_record
from agentflow_kernel.errors import AgentFlowError
from agentflow_kernel.testing import InProcessMemory
from agentflow_sqlite.journal import SqliteJournal

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = os.environ.get("AGENTFLOW_CHAOS", "short") == "long"
SEED = int(os.environ.get("AGENTFLOW_CHAOS_SEED", "20251"))
FLIPS, CUTS = (1000, 100) if LONG else (150, 20)
PLAYED = ("sequence", "fork_all", "batch_skip", "agent_tools", "phases", "nested_batch")
OPEN = {"waiting": 4, "substeps": 6}
"""Flows whose process ends at so many operations: their runs are open."""

pytestmark = [pytest.mark.anyio, pytest.mark.chaos, pytest.mark.timeout(600), pytest.mark.blocking]
Runs = dict[str, list[bytes]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory."""
    place = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 -- a fresh folder is made in it
    with tempfile.TemporaryDirectory(dir=place) as name:
        yield Path(name)


async def fill(folder: Path, *, orderly: bool) -> tuple[Path, Runs]:
    """The files as a process left them, by its own end or without one, and the records that were acknowledged."""
    place, left = folder / "live", folder / "left"
    place.mkdir()
    journal = SqliteJournal(str(place / "journal.db"))
    estate = Estate(journal, InProcessMemory())
    for name in PLAYED:
        assert await Life(CASES[name], estate, 1).live() == CASES[name].ends[0]
    for name, moment in OPEN.items():
        assert await Life(CASES[name], estate, 1, Doom(moment)).live() is None
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
