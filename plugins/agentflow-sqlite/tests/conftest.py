"""What the tests of both stores share: files, clocks, records, and children that are killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from agentflow_kernel.contracts.journal import Record, chain_hash, encode_record
from agentflow_sqlite.journal import SqliteJournal
from agentflow_sqlite.memory import SqliteMemory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from anyio import CancelScope
    from anyio.abc import TaskGroup

    from agentflow_kernel.contracts.values import JSON
    from agentflow_sqlite._database import Database

CHILDREN = Path(__file__).parent / "children"


class SetClock:
    """A clock that stands where it was put."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


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

    def _one(self, kind: str, payload: JSON) -> Record:
        seq = self.next_seq
        kind = kind or ("step.completed" if seq else "run.started")
        payload = {"name": self.run_id} if payload is None and kind == "run.started" else payload
        record = Record(
            self.run_id, seq, kind, f"step/{seq}", payload, self.epoch, ts=100.0 + seq, prev_hash=self.prev_hash
        )
        self.next_seq += 1
        self.prev_hash = chain_hash(encode_record(record))
        return record


class Gate:
    """Holds the writer of a store in a transaction until it is opened: what comes meanwhile has to wait."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.database: Database | None = None

    async def hold(self, store: SqliteJournal | SqliteMemory, group: TaskGroup) -> CancelScope:
        """Return when the transaction has begun; the scope is that of the task which leads it."""
        self.database = store._database
        scope = anyio.CancelScope()
        group.start_soon(self._lead, scope)
        await self.until_entered()
        return scope

    async def until_entered(self) -> None:
        """Return when the transaction has begun."""
        while not self.entered.is_set():
            await anyio.lowlevel.checkpoint()

    async def until_waiting(self, count: int) -> None:
        """Return when so many tickets wait for the next transaction."""
        assert self.database is not None
        while len(self.database._writer._lane().pending) != count:
            await anyio.lowlevel.checkpoint()

    async def _lead(self, scope: CancelScope) -> None:
        with scope:
            await self.database.write(self.wait)

    def wait(self, connection: object) -> None:
        """The job that holds the writer."""
        self.entered.set()
        assert self.opened.wait(10)


class Child:
    """A process that runs one of the scripts in `children`."""

    def __init__(self, script: str, arguments: Sequence[object]) -> None:
        command = [sys.executable, str(CHILDREN / script), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self) -> str:
        """The next line it prints, `""` after its end."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def kill(self) -> list[str]:
        """End it as a power cut would, and return the lines it had still printed."""
        self.process.kill()
        return self.rest()

    def rest(self) -> list[str]:
        """Wait for its end and return the lines it has printed until then."""
        assert self.process.stdout is not None
        lines = self.process.stdout.read().splitlines(keepends=True)
        self.process.wait(15)
        return [line.strip() for line in lines if line.endswith("\n")]

    def close(self) -> None:
        self.process.kill()
        self.process.wait(15)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Start scripts of `children`; what still runs at the end of the test is killed."""
    started: list[Child] = []

    def start(script: str, *arguments: object) -> Child:
        started.append(Child(script, arguments))
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture
def author() -> Callable[..., Author]:
    return Author


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the file of the store under test lies."""
    return str(tmp_path / "state" / "store.db")


@pytest.fixture
async def journal(anyio_backend: str, path: str) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal(path)
    yield journal
    await journal.aclose()


@pytest.fixture
async def memory(anyio_backend: str, path: str, clock: SetClock) -> AsyncIterator[SqliteMemory]:
    memory = SqliteMemory(path, clock=clock)
    yield memory
    await memory.aclose()


@pytest.fixture
def open_files() -> Callable[[str], list[str]]:
    """Which files below a folder this process holds open."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not list open files")

    def find(folder: str) -> list[str]:
        links = []
        for descriptor in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                links.append(os.readlink(descriptor))
        return [link for link in links if link.startswith(folder)]

    return find
