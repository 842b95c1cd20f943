"""Durable steps: one step of a journalled flow beside one fdatasync of the same disk."""

from __future__ import annotations

import importlib.util
import itertools
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from nodes import chain
from table import Row

from agentflow_kernel import Flow, Kernel

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 120
"""Short ones, so that some of them have the machine for themselves."""
DRIVERS = {"sqlite": "bare sqlite3", "leveldb": "bare plyvel"}
FLOORS = {"sqlite": "fdatasync of a page", "leveldb": "fdatasync of a log that grows"}
"""SQLite overwrites its log once that has its size. LevelDB's grows, and the disk has to write down its length, too."""


def rows(*, steps: int) -> list[Row]:
    """The cost of a synced step in a run that is alone, and in each of a hundred at once, with each journal."""
    journals = ["sqlite", *(["leveldb"] if importlib.util.find_spec("plyvel") else [])]
    found = [row for journal in journals for row in _rows_of(journal, steps)]
    return [*found, *_rows_of_postgres(steps)]


def _rows_of_postgres(steps: int) -> list[Row]:
    """A step beside an insert and commit of the bare driver; none where no server can be started."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "services"))
    import pytest
    from postgres_server import PostgresServer

    server = PostgresServer()
    try:
        server.open()
        value, floor = anyio.run(_measure_postgres, server.dsn, steps)
    except pytest.skip.Exception:
        return []
    finally:
        server.close()
    note = f"asyncpg, insert and commit {floor:.3f} ms"
    what = "durable step, one run, postgres"
    return [Row(what, value, "ms", note, value / floor, "≤ 2.0 x", value <= floor * 2)]


async def _measure_postgres(dsn: str, steps: int) -> tuple[float, float]:
    """Medians of interleaved rounds on one server."""
    import asyncpg

    from agentflow_postgres.journal import PostgresJournal

    values, floors = [], []
    bare = await asyncpg.connect(dsn)
    await bare.execute("CREATE TABLE floor (number bigint PRIMARY KEY, data bytea)")
    async with Kernel(journal=PostgresJournal(dsn)) as kernel:
        flow: Flow = chain(steps)
        await kernel.run(flow, 1)
        for turn in range(ROUNDS // 6):
            start = time.perf_counter()
            for number in range(steps):
                await bare.execute("INSERT INTO floor VALUES ($1, $2)", turn * steps + number, b"x" * 200)
            floors.append((time.perf_counter() - start) / steps * 1e3)
            start = time.perf_counter()
            await kernel.run(flow, 1)
            values.append((time.perf_counter() - start) / (steps + 2) * 1e3)
    await bare.close()
    return statistics.median(values), statistics.median(floors)


def _rows_of(journal: str, steps: int) -> list[Row]:
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:
        value, floor, bare = anyio.run(_measure, folder, steps, journal)
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:
        shared, other = anyio.run(_measure_together, folder, steps, journal)
    note = FLOORS[journal] + " {:.3f} ms"
    alone, together = f"durable step, one run, {journal}", "… of 100 runs at once"
    beside = f"{note.format(floor)}, {DRIVERS[journal]} {bare:.3f} ms"
    return [
        Row(alone, value, "ms", beside, None, "≤ floor + 0.15 ms", value <= floor + 0.15),
        Row(together, shared, "ms", note.format(other), shared / other, "≤ 0.5 x", shared <= other / 2),
    ]


async def _measure(folder: str, steps: int, journal: str) -> tuple[float, float, float]:
    """The least of many short interleaved rounds: what the steps cost where nobody else has the machine."""
    values, floors, bares = [], [], []
    write = _bare(journal, folder)
    async with Kernel(state=folder, journal=journal) as kernel:
        flow: Flow = chain(steps // 4)
        for _ in range(1 + 4000 // steps):  # until the write-ahead log has its size: overwriting is what lasts
            await kernel.run(flow, 1)
        for _ in range(ROUNDS):
            floors.append(_fdatasync(folder, steps // 4, grows=journal == "leveldb"))
            start = time.perf_counter()
            for _ in range(steps // 4):
                write()
            bares.append((time.perf_counter() - start) / (steps // 4) * 1e3)
            start = time.perf_counter()
            await kernel.run(flow, 1)
            values.append((time.perf_counter() - start) / (steps // 4 + 2) * 1e3)
    return min(values), min(floors), min(bares)


def _bare(journal: str, folder: str) -> Callable[[], object]:
    """What writes one record of 250 bytes durably with the bare driver, in a store of its own."""
    numbers, data = itertools.count(), b"x" * 250
    if journal == "leveldb":
        import plyvel

        db = plyvel.DB(os.path.join(folder, "bare.leveldb"), create_if_missing=True)
        return lambda: db.put(b"%020d" % next(numbers), data, sync=True)
    bare = sqlite3.connect(os.path.join(folder, "bare.db"), isolation_level=None)
    for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE log (id, data)"):
        bare.execute(statement)
    bare.execute("CREATE UNIQUE INDEX place ON log (id)")
    return lambda: bare.execute("INSERT INTO log VALUES (?, ?)", (next(numbers), data))


async def _measure_together(folder: str, steps: int, journal: str) -> tuple[float, float]:
    """The same with a hundred runs that share transactions; each makes a tenth of the steps."""
    values, floors = [], []
    async with Kernel(state=folder, journal=journal) as kernel:
        flow: Flow = chain(steps // 10)
        for round_ in range(10):
            floors.append(_fdatasync(folder, steps, grows=journal == "leveldb"))
            start = time.perf_counter()
            async with anyio.create_task_group() as group:
                for _ in range(100):
                    group.start_soon(kernel.run, flow, 1)
            if round_:  # the first one is for the log to get its size
                values.append((time.perf_counter() - start) / (steps // 10 + 2) / 100 * 1e3)
    return min(values), min(floors)


def _fdatasync(folder: str, times: int, *, grows: bool) -> float:
    """Milliseconds to sync what was just written: the least a log can do.

    A page of a file that has its size already, or a record of 250 bytes at the end of one that ``grows``.
    """
    page = b"x" * 4096
    file = os.open(os.path.join(folder, "grows" if grows else "floor"), os.O_RDWR | os.O_CREAT)
    try:
        end = os.lseek(file, 0, os.SEEK_END)
        if not grows:
            os.pwrite(file, page * times, 0)
        os.fsync(file)
        start = time.perf_counter()
        for number in range(times):
            if grows:
                os.pwrite(file, page[:250], end + number * 250)
            else:
                os.pwrite(file, page, number * 4096)
            os.fdatasync(file)
        return (time.perf_counter() - start) / times * 1e3
    finally:
        os.close(file)
