"""A service: a real server as a child process, which a test can start, kill, pause and restart.

It gets a port and a folder of its own and ends with its parent. An address in ``AGENTFLOW_TEST_<NAME>`` wins over
starting one. Where neither is to be had the test is skipped with the command that installs it; where
``AGENTFLOW_REQUIRE_SERVICES`` is ``all``, or a list that names the service, that is a failure.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import ClassVar, NoReturn

import pytest

READY_WITHIN_S = 60.0
PORTS = range(15_000, 32_000)
"""Below those that the system gives away by itself, while a server is prepared or restarted."""


def not_there(name: str, install: str) -> NoReturn:
    """Skip or fail the test that needs a program which is not installed, or may not be used."""
    text = f"{name} is not installed, or may not be used here: {install}"
    required = os.environ.get("AGENTFLOW_REQUIRE_SERVICES", "")
    if required == "all" or name in required.split(","):
        pytest.fail(text)
    pytest.skip(text)


class Service:
    """One server. Subclasses say how it is called, found, prepared and asked whether it is ready."""

    name: ClassVar[str]
    """As in ``AGENTFLOW_TEST_<NAME>``, in lower case."""
    install: ClassVar[str]
    """The command that installs it."""

    def __init__(self) -> None:
        self.given = os.environ.get(f"AGENTFLOW_TEST_{self.name.upper()}", "")
        self.folder = Path()
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str] | None:
        """The words that start the server, ``None`` where it is not installed."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make what the server needs in :attr:`folder`, once."""

    def is_ready(self) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    def open(self) -> None:
        """Prepare and start; skips or fails the test where that cannot be."""
        if self.given:
            return
        self.port = free_port()
        if self.command() is None:
            not_there(self.name, self.install)
        self.folder = Path(tempfile.mkdtemp(prefix=f"agentflow-{self.name}-"))
        self.prepare()
        self.start()

    def start(self) -> None:
        """Start and wait until it answers."""
        words = self.command()
        assert words is not None
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", *self.as_user(), "--pdeathsig", "KILL", *words], stdout=log, stderr=log
            )
        self.wait_until_ready()

    def as_user(self) -> list[str]:
        """Words of ``setpriv`` for a server that does not run as root."""
        return []

    def wait_until_ready(self) -> None:
        """Return when it answers; a server that has ended meanwhile is started again."""
        deadline = time.monotonic() + READY_WITHIN_S
        while not self.is_ready():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            if self._process is not None and self._process.poll() is not None:
                time.sleep(0.2)
                self.start()
                return
            time.sleep(0.02)

    def stop(self) -> None:
        """End it as an administrator does."""
        self.end(signal.SIGINT)

    def kill(self) -> None:
        """End it and its children with ``SIGKILL``."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals) -> None:
        """Send a signal and wait for the end of it."""
        process = self._own()
        children = self._children() if number == signal.SIGKILL else []
        process.send_signal(number)
        for child in children:
            _send(child, number)
        process.wait(60)
        self._process = None

    def restart(self, *, kill: bool = False) -> None:
        """End it and start it again with the same data."""
        (self.kill if kill else self.stop)()
        self.start()

    def pause(self) -> None:
        """Stop it and its children in the middle of what they do: nothing answers, nothing is closed."""
        paused = [self._own().pid, *self._children()]
        for pid in paused:
            _send(pid, signal.SIGSTOP)
        while not all(map(_rests, paused)):  # until then one may go on with what it is waiting for
            time.sleep(0.001)

    def go_on(self) -> None:
        """Go on after :meth:`pause`."""
        for pid in [self._own().pid, *self._children()]:
            _send(pid, signal.SIGCONT)

    def close(self) -> None:
        """End it and remove its folder."""
        if self._process is not None:
            self.go_on()
            self.kill()
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _own(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            pytest.skip(f"the {self.name} at AGENTFLOW_TEST_{self.name.upper()} is not ours to stop")
        return self._process

    def _children(self) -> list[int]:
        found = Path(f"/proc/{self._own().pid}/task/{self._own().pid}/children")
        return [int(pid) for pid in found.read_text().split()] if found.exists() else []


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _rests(pid: int) -> bool:
    """Whether a process has stopped or is no more."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "TtZX"


def free_port() -> int:
    """A port on which nobody listens, and which no connection and no listener without a port of its own is given."""
    while True:
        port = PORTS.start + secrets.randbelow(len(PORTS))  # not by `random`: processes of a test run share its seed
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
