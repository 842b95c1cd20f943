"""Hold the write lock of a file until a line comes in. Argument: the file."""

from __future__ import annotations

import contextlib
import sqlite3
import sys

with contextlib.closing(sqlite3.connect(sys.argv[1], isolation_level=None)) as connection:
    connection.execute("BEGIN IMMEDIATE")
    print("held", flush=True)
    sys.stdin.readline()
    connection.execute("ROLLBACK")
    print("released", flush=True)
    sys.stdin.readline()
