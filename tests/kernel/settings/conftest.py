"""A working folder without settings of its own, and none from whoever runs the tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AGENTFLOW_", "OTEL_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the test, a few levels down."""
    deep = tmp_path / "project" / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    return deep


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """Write an agentflow.toml, in the working directory or where told."""

    def write(text: str | bytes, where: Path | None = None) -> Path:
        file = (where or folder) / "agentflow.toml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write
