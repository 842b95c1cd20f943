"""Rotated files beside a log come in the order in which they were written, however they are counted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agentflow_sources._siblings import rotated_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("names", "dates"),
    [
        (["app.log.3", "app.log.2", "app.log.1"], [1, 2, 3]),
        (["app.log.1", "app.log.2", "app.log.10"], [1, 2, 3]),
        (["app.log-20261119", "app.log-20261120"], [1, 2]),
        (["app.log.1"], [5]),
        ([], []),
    ],
    ids=["the highest is the oldest", "the highest is the newest", "dates", "one", "none"],
)
def test_the_oldest_comes_first(tmp_path: Path, names: list[str], dates: list[int]) -> None:
    log = tmp_path / "app.log"
    log.write_text("now\n")
    for name, date in zip(names, dates, strict=True):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (date, date))
    assert [os.path.basename(found.path) for found in rotated_files(str(log))] == names
