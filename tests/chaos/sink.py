"""The receiver of effects: a process of its own that never dies in a test, with a ledger, and that honours keys.

Usage: ``python sink.py SOCKET FILE``. Each datagram becomes one line of FILE, written before the next is read: what a
receiver does that does not look at keys. It is applied, and becomes a line of ``FILE.applied`` too, unless its key has
been: all that the receiver knows of the effect is the key that the engine has made for it. An empty datagram is
answered with another: whatever was sent before it is written by then.
"""

from __future__ import annotations

import json
import os
import socket
import sys


def main(address: str, file: str) -> None:
    """Receive until the end of the world."""
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(address)
    applied, lines = (os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in (f"{file}.applied", file))
    known = set()
    while True:
        line, asker = receiver.recvfrom(65536)
        if not line:
            receiver.sendto(b"", asker)
            continue
        key = json.loads(line)["key"]
        if key not in known:
            known.add(key)
            os.write(applied, line + b"\n")
        os.write(lines, line + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
