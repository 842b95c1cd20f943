"""Runs a command with a PostgreSQL server of its own: ``python with_postgres.py WORD...``; returns its exit code.

``AGENTFLOW_TEST_POSTGRES`` tells the command where the server is; where it is set already nothing is started. The
server does not sync: only clients are killed here. Where it is not installed this says so and returns 0, or 1 where
``AGENTFLOW_REQUIRE_SERVICES`` asks for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # the script's folder is left out of a safe path

from postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(words: Sequence[str]) -> int:
    """Start, run, stop."""
    server = PostgresServer(synced=False)
    try:
        server.open()
        return subprocess.run(words, env={**os.environ, "AGENTFLOW_TEST_POSTGRES": server.dsn}, check=False).returncode
    except pytest.skip.Exception as error:
        print(f"skipped: {error.msg}")
        return 0
    except pytest.fail.Exception as error:
        print(error.msg)
        return 1
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
