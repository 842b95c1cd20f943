"""The plugin as manifests and kernels see it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import pytest

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.errors import Unsupported, UsageError
from agentflow_postgres.journal import PostgresJournal

if TYPE_CHECKING:
    from pathlib import Path

    from postgres_server import PostgresServer

MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Journal
metadata: {{name: shared}}
spec: {{plugin: postgres, with: {{dsn: "${{TEST_DSN}}", schema: {schema}, lease_s: 5}}}}
"""


@pytest.mark.blocking  # the kernel looks for plugins and manifests when it is opened
def test_runs_are_kept_in_the_database_that_the_manifest_names(
    server: PostgresServer, schema: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No state folder is needed."""
    monkeypatch.setenv("TEST_DSN", server.dsn)
    (tmp_path / "flow.yaml").write_text(MANIFEST.format(schema=schema))

    async def main() -> None:
        flow = Flow("greet").step(lambda name: f"Hello, {name}!", name="greet")
        async with Kernel.from_manifest(str(tmp_path)) as kernel:
            kernel.add(flow)
            assert await kernel.run("flow/greet", "Ada") == "Hello, Ada!"
        async with Kernel.from_manifest(str(tmp_path)) as kernel:
            (info,) = await kernel.runs()
            assert (info.status, info.name) == ("completed", "flow/greet")

    anyio.run(main)


@pytest.mark.blocking  # as above
def test_by_its_name_the_journal_takes_the_database_of_the_environment(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with Kernel(journal="postgres") as kernel:
            await kernel.runs()

    monkeypatch.setenv("AGENTFLOW_POSTGRES_DSN", server.dsn)
    anyio.run(main)
    monkeypatch.delenv("AGENTFLOW_POSTGRES_DSN")
    with pytest.raises(UsageError, match="AGENTFLOW_POSTGRES_DSN"):
        anyio.run(main)


def test_under_trio_it_is_unsupported() -> None:
    async def main() -> None:
        journal = PostgresJournal("postgresql://127.0.0.1/x")
        for call in (journal.read, journal.head, journal.get_blob):
            with pytest.raises(Unsupported, match="asyncio"):
                await call("r")
        with pytest.raises(Unsupported, match="asyncio"):
            await journal.leases.acquire()
        await journal.aclose()

    anyio.run(main, backend="trio")


def test_the_driver_is_loaded_when_a_journal_is_made_and_not_before() -> None:
    code = (
        "import sys; import agentflow_postgres._plugin as plugin; plugin.agentflow_journals();"
        "sys.exit('asyncpg' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
