"""PostgreSQL for tests: a cluster in a fresh folder; as root it runs under the user ``postgres``."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

from service import Service


class PostgresServer(Service):
    """The newest installed version; commits are synced as in production unless ``synced`` is false."""

    name = "postgres"
    install = "apt-get install -y --no-install-recommends postgresql"

    def __init__(self, *, synced: bool = True) -> None:
        super().__init__()
        self._synced = synced

    @property
    def dsn(self) -> str:
        """Where it is, for a client."""
        return self.given or f"postgresql://agentflow@127.0.0.1:{self.port}/postgres"

    def command(self) -> list[str] | None:
        postgres = _find("postgres")
        if postgres is None or (os.geteuid() == 0 and shutil.which("setpriv") is None):
            return None
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "fsync": "on" if self._synced else "off",
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [postgres, "-D", str(self.folder / "data"), "-p", str(self.port), *settings]

    def as_user(self) -> list[str]:
        return ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []

    def prepare(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        make = [str(_find("initdb")), "-D", str(self.folder / "data"), "-A", "trust", "-U", "agentflow", "--no-sync"]
        words = ["setpriv", *self.as_user(), *make]
        subprocess.run(words, check=True, capture_output=True, cwd="/")

    def is_ready(self) -> bool:
        """Whether it takes connections: it answers the start-up packet with a request to authenticate."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                text = b"user\0agentflow\0database\0postgres\0\0"
                client.sendall((len(text) + 8).to_bytes(4, "big") + (3 << 16).to_bytes(4, "big") + text)
                return client.recv(1) == b"R"
        except OSError:
            return False


def _find(program: str) -> str | None:
    """A program of the server: the newest that Debian has put aside, else that of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: int(path.parts[4]))
    return str(found[-1]) if found else shutil.which(program)
