"""The conformance kit against the postgres journal, in a process of its own, with a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from postgres_server import PostgresServer

ROOT = Path(__file__).parents[2]
HARNESS = "agentflow_postgres.testing:PostgresJournalHarness"


@pytest.mark.timeout(300)
def test_the_journal_meets_every_requirement_of_its_kind() -> None:
    """Under asyncio; that trio is refused is a test of the plugin."""
    server = PostgresServer(synced=False)
    server.open()
    try:
        config = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "-p", "no:randomly", "-n", "0", "-q")
        words = [sys.executable, "-m", "pytest", *config, "--pyargs", "agentflow_specs", "--harness", HARNESS]
        ran = subprocess.run(
            words,
            env={**os.environ, "AGENTFLOW_TEST_POSTGRES": server.dsn},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        server.close()
    assert ran.returncode == 0, ran.stdout[-6000:]
    assert " passed" in ran.stdout
