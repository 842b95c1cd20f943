"""The sources in a kernel: a log gives the same whether it is read whole or followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow_kernel import Kernel
from agentflow_kernel.settings import Settings
from agentflow_kernel.testing import InProcessJournal

if TYPE_CHECKING:
    from pathlib import Path

# the objects of a manifest are made when they are first needed, and their code is imported then
pytestmark = [pytest.mark.anyio, pytest.mark.blocking]

CODE = """
def words(value):
    with open(value["path"], "rb") as file:
        return file.read(value["size_bytes"]).decode().split()
"""

MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Trigger
metadata: {name: log}
spec:
  plugin: file
  with: {path: app.log}
  start: flow/words
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: words}
spec:
  start: only
  nodes:
    only: {uses: "./code.py:words", input: {$ref: input}}
  output: {$ref: only.result}
"""


class Durable:
    """A journal that outlives its kernel, as one on disk does."""

    def __init__(self) -> None:
        self._records = InProcessJournal()

    def __getattr__(self, name: str) -> object:
        return getattr(self._records, name)

    async def aclose(self) -> None:
        """Keep everything."""


async def test_a_log_gives_the_same_whole_and_followed(tmp_path: Path) -> None:
    """Over several firings, each of which goes on after the last; the whole file is read anew each time."""
    (tmp_path / "code.py").write_text(CODE)
    (tmp_path / "manifest.yaml").write_text(MANIFEST)
    log = tmp_path / "app.log"
    journal = Durable()
    followed = {"follow": True, "lines": 7, "every_s": 0.01, "poll_s": 0.01, "quiet_s": 0.1}

    async def fire(overrides: dict) -> list[str]:
        kernel = Kernel.from_manifest(
            str(tmp_path / "manifest.yaml"),
            settings=Settings(),
            state=str(tmp_path / "state"),
            journal=journal,
            trust_code=True,
        )
        async with kernel:
            handles = await kernel.fire("log", overrides=overrides)
            return [word for handle in handles for word in await handle.result()]

    found: list[str] = []
    for start in (0, 50, 60):
        with log.open("a") as file:
            file.writelines(f"line{number} text\n" for number in range(start, start + 30))
        found += await fire(followed)
        assert found == await fire({})
    assert await fire(followed) == []
