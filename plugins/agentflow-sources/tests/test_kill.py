"""Following in a process that is killed again and again while the log is written and rotated."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

FOLLOWER = """
import json, os, random, sys
import anyio
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.kernel.cursors import CursorStore
from agentflow_sources.lines import follow
from agentflow_sources.settings import FileSettings

folder = sys.argv[1]
ledger = os.open(os.path.join(folder, "ledger"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
settings = FileSettings(
    path="app.log", follow=True, lines=7, every_s=0.02, poll_s=0.005, rotation_s=0.2,
    quiet_s=float(sys.argv[2]) if len(sys.argv) > 2 else None,
)
state = os.path.join(folder, "state")
context = PluginContext("tail", clock=SystemClock(), random=random.Random(), folder=folder, state_folder=state)


async def main():
    with CursorStore(state, "tail") as store:
        async for item in follow(settings, context).events(store.load()):
            data = item.event.data
            with open(data["path"], "rb") as file:
                content = file.read().decode()
            entry = {"id": item.event.id, "first": data["first_line"], "lines": data["lines"], "content": content}
            os.write(ledger, json.dumps(entry).encode() + b"\\n")
            store.save(item.cursor)


anyio.run(main)
"""

KILLS = 12


class Writer(threading.Thread):
    """Writes numbered lines in pieces that end anywhere, and rotates the log, until it is told to stop."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "app.log"
        self.folder = folder
        self.written = b""
        self.rotations = 0
        self.stopping = threading.Event()
        self._random = random.Random(7)
        self._file = self.path.open("ab", buffering=0)

    def run(self) -> None:
        number = 0
        while not self.stopping.wait(0.002):
            number += 1
            line = b"%07d %s\n" % (number, b"y" * self._random.randrange(60))
            at = self._random.randrange(len(line))
            for piece in (line[:at], line[at:]):
                self._file.write(piece)
                self.written += piece
            if number % 250 == 0:
                self._rotate()
        self._file.close()

    def _rotate(self) -> None:
        self.rotations += 1
        for path in sorted(self.folder.glob("app.log.*"), key=lambda path: -int(path.suffix[1:])):
            path.rename(self.folder / f"app.log.{int(path.suffix[1:]) + 1}")
        if self.rotations % 2:
            self.path.rename(self.folder / "app.log.1")
            self._file.close()
            self._file = self.path.open("ab", buffering=0)
        else:
            shutil.copyfile(self.path, self.folder / "app.log.1")
            os.truncate(self.path, 0)


def entries(folder: Path) -> list[dict]:
    """What the followers have taken; a line that a kill has cut is none."""
    path = folder / "ledger"
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def wait_for(path: Path) -> None:
    """Return when another process has made the file."""
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.002)


@pytest.mark.timeout(600)
def test_a_follower_that_is_killed_loses_nothing_and_tells_nothing_twice(tmp_path: Path) -> None:
    """Chunks by their ids: the same id has the same content, and all of them together are the log."""
    command = [sys.executable, "-c", FOLLOWER, str(tmp_path)]
    chance = random.Random(11)
    (tmp_path / "ledger").touch()
    writer = Writer(tmp_path)
    at_work = 0
    try:
        for _ in range(KILLS):
            before = (tmp_path / "ledger").stat().st_size
            child = subprocess.Popen(command, stderr=subprocess.PIPE)
            if not writer.is_alive():  # before the first follower there is nothing that it would have to find
                wait_for(tmp_path / "state" / "spool" / "tail" / "origin")
                writer.start()
            deadline = time.monotonic() + 60
            while (tmp_path / "ledger").stat().st_size == before and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(chance.random() * 0.15)
            at_work += (tmp_path / "ledger").stat().st_size > before
            child.send_signal(signal.SIGKILL)
            _, told = child.communicate(timeout=60)
            assert child.returncode == -signal.SIGKILL, told.decode()
    finally:
        writer.stopping.set()
        writer.join()
    subprocess.run([*command, "1.5"], check=True, timeout=60)
    taken = entries(tmp_path)
    chunks = {entry["id"]: entry for entry in taken}
    assert all(chunks[entry["id"]] == entry for entry in taken)
    ordered = sorted(chunks.values(), key=lambda entry: int(entry["id"].rpartition("-")[2]))
    assert "".join(entry["content"] for entry in ordered).encode() == writer.written
    line = 1
    for entry in ordered:
        assert entry["first"] == line
        line += entry["lines"]
    assert at_work == KILLS
    assert writer.rotations >= 4
