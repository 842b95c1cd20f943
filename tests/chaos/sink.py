"""The effect ledger: a process of its own that writes down every effect it is told of and never dies in a test.

Usage: ``python sink.py SOCKET FILE``. Each datagram becomes one line of FILE, written before the next is read.
"""

from __future__ import annotations

import os
import socket
import sys


def main(address: str, file: str) -> None:
    """Receive until the end of the world."""
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(address)
    lines = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while True:
        os.write(lines, receiver.recv(65536) + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
