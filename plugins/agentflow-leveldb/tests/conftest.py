"""What the tests share: folders, records, and children that are killed. Without plyvel only the plugin is tested."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.contracts.journal import Record, chain_hash, encode_record
from agentflow_leveldb.journal import LevelJournal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from agentflow_kernel.contracts.values import JSON

CHILDREN = Path(__file__).parent / "children"
if importlib.util.find_spec("plyvel") is None:
    # there is no wheel of plyvel for this Python: what the plugin says then is tested in test_plugin.py
    collect_ignore = [path.name for path in Path(__file__).parent.glob("test_*.py") if path.name != "test_plugin.py"]


class Author:
    """Writes the records of one run, chained as the engine chains them."""

    def __init__(self, run_id: str, epoch: int = 1) -> None:
        self.run_id = run_id
        self.epoch = epoch
        self.next_seq = 0
        self.prev_hash = ""

    def write(self, kind: str = "", payload: JSON = None, *, count: int = 1) -> list[Record]:
        """The next records; the first of a run is `run.started` unless another kind is asked for."""
        return [self._one(kind, payload) for _ in range(count)]

    async def append(self, journal: LevelJournal, payload: JSON = None, *, count: int = 1) -> list[Record]:
        seq, records = self.next_seq, self.write("", payload, count=count)
        await journal.append(self.run_id, seq, self.epoch, records)
        return records

    def _one(self, kind: str, payload: JSON) -> Record:
        seq = self.next_seq
        kind = kind or ("step.completed" if seq else "run.started")
        payload = {"name": self.run_id} if kind == "run.started" else payload
        record = Record(
            self.run_id, seq, kind, f"step/{seq}", payload, self.epoch, ts=100.0 + seq, prev_hash=self.prev_hash
        )
        self.next_seq += 1
        self.prev_hash = chain_hash(encode_record(record))
        return record


@pytest.fixture
def author() -> Callable[..., Author]:
    return Author


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Where the store under test lies."""
    return str(tmp_path / "state" / "journal.leveldb")


@pytest.fixture
async def journal(anyio_backend: str, folder: str) -> AsyncIterator[LevelJournal]:
    journal = LevelJournal(folder)
    yield journal
    await journal.aclose()


def kill_child(folder: str, number: int, least: int) -> dict[str, int]:
    """Kill a child after `least` acknowledged appends; run id → the end that it acknowledged."""
    ends: dict[str, int] = {}
    command = [sys.executable, str(CHILDREN / "append.py"), folder, str(number)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            for count, line in enumerate(child.stdout, 1):
                run_id, _, end = line.partition(" ")
                ends[run_id] = int(end)
                if count == least:
                    break
            child.kill()
            for line in child.stdout.read().splitlines(keepends=True):
                run_id, _, end = line.partition(" ")
                if end.endswith("\n"):
                    ends[run_id] = int(end)
        finally:
            child.kill()
    assert len(ends) > 0, "the child ended by itself; its error stands above"
    return ends


@pytest.fixture
def killed() -> Callable[[str, int, int], dict[str, int]]:
    return kill_child
