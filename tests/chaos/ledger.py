"""A ledger: the effects of real processes, received and written down by another process that never dies in a test."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
CHILD = {**os.environ, "PYTHONSAFEPATH": ""}
"""The environment of a child that imports what lies beside it."""


class Ledger:
    """The other process, and what it has written so far."""

    def __init__(self, folder: Path) -> None:
        self.address = folder / "sink"
        self.file = folder / "ledger"
        self.applied = folder / "ledger.applied"
        """What was applied, each key once."""
        self._process = subprocess.Popen([sys.executable, str(HERE / "sink.py"), str(self.address), str(self.file)])
        wait_until(lambda: self.address.exists() and self.file.exists())
        self._asker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._asker.settimeout(60)
        self._asker.bind(str(folder / "asker"))

    def lines(self) -> list[dict[str, Any]]:
        """Every effect so far, in order."""
        self.catch_up()
        whole, _, _ = self.file.read_bytes().rpartition(b"\n")  # the rest is being written
        return [json.loads(line) for line in whole.splitlines()]

    def count(self) -> int:
        """How many effects are written so far."""
        return self.file.read_bytes().count(b"\n")

    def catch_up(self) -> None:
        """Wait until everything is written that was sent so far: who sent it may be dead for long."""
        self._asker.sendto(b"", str(self.address))
        self._asker.recv(1)

    def clear(self) -> None:
        """Forget the ledger; the sink appends, so it goes on at the start, and what was applied stays applied."""
        os.truncate(self.file, 0)

    def stop(self) -> None:
        """End the sink."""
        self._asker.close()
        self._process.kill()
        self._process.wait()


def put_to_sleep(process: subprocess.Popen[bytes]) -> None:
    """Stop a child that lives; returns when it has stopped: until then a thread may still get the lock it waits for."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert process.poll() is None, "it has ended"


def wait_until(condition: Callable[[], object], limit_s: float = 60) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.001)
