"""A ledger: the effects of real processes, received and written down by another process that never dies in a test."""

from __future__ import annotations

import json
import os
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

    def lines(self) -> list[dict[str, Any]]:
        """Every effect so far, in order."""
        return [json.loads(line) for line in self.file.read_bytes().splitlines()]

    def count(self) -> int:
        """How many effects there are so far."""
        return self.file.read_bytes().count(b"\n")

    def clear(self) -> None:
        """Forget the ledger; the sink appends, so it goes on at the start, and what was applied stays applied."""
        os.truncate(self.file, 0)

    def stop(self) -> None:
        """End the sink."""
        self._process.kill()
        self._process.wait()


def wait_until(condition: Callable[[], object], limit_s: float = 60) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.001)
