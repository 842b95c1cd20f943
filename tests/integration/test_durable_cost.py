"""What a durable step costs beside the disk, counted in Python functions that it enters: never in milliseconds."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

JOURNALS = [("sqlite", 45), *([("leveldb", 53)] if importlib.util.find_spec("plyvel") else [])]


@pytest.mark.parametrize(("journal", "most"), JOURNALS)
def test_a_durable_step_enters_few_functions(journal: str, most: int, tmp_path: Path) -> None:
    """Shared by a hundred runs: one wake-up, no scope, no look for the event loop. Alone: no event loop at all."""
    script = Path(__file__).with_name("step_counter.py")
    command = [sys.executable, str(script), journal, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    shared, alone = found["shared"], found["alone"]
    assert shared["ours"] < most > alone["ours"], found
    assert shared["anyio"] < 1.5, found
    assert shared["asyncio"] < 12, found
    assert alone.get("anyio", 0) < 0.5, found
    assert alone.get("asyncio", 0) < 2, found
