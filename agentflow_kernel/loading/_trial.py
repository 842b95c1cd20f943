"""A trial: one child process that imports what is behind an entry point, within a time limit."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentflow_kernel.loading._catalogue import Entry

_AT_A_TIME = 4
_ANSWER_LIMIT_BYTES = 1_000_000

_CHILD = """
import json, sys
descriptor, request = int(sys.argv[1]), json.loads(sys.argv[2])
sys.path[:] = request["path"]
from agentflow_kernel.loading._probe import main
main(descriptor, request["entries"])
"""
"""What a child runs: it looks for modules where this process does, and finds the same kernel."""


class Trial:
    """The child process for the entries that share one entry point, and what it answered."""

    __slots__ = ("entries", "answered", "timed_out", "deadline", "_process")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.answered = b""
        self.timed_out = False
        self.deadline = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float) -> int:
        """Start the child, leader of a process group; the descriptor to read its answers from."""
        asked = [
            (entry.kind, entry.name, entry.value, (entry.distribution, entry.version, entry.location))
            for entry in self.entries
        ]
        request = json.dumps(
            {"path": [folder for folder in sys.path if folder and isinstance(folder, str)], "entries": asked}
        )
        reader, writer = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- this very interpreter, no shell
                [sys.executable, "-P", "-c", _CHILD, str(writer), request],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(writer,),
                start_new_session=True,
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self.deadline = time.monotonic() + timeout_s
        return reader

    def read(self, reader: int) -> bool:
        """Take what the child says now; whether that was the last."""
        chunk = os.read(reader, 65536)
        self.answered += chunk
        return not chunk or b'"done": true' in self.answered or len(self.answered) > _ANSWER_LIMIT_BYTES

    def stop(self) -> None:
        """End the child and all that it started; one that has crashed keeps the status that it crashed with."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            self._process.kill()
        self._process.wait()

    def answers(self) -> list[dict[str, object]]:
        """The answers, one object each; a line cut off by the end of the child is none."""
        found = []
        for line in self.answered.splitlines():
            try:
                answer = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(answer, dict):
                found.append(answer)
        return found

    def end(self, stage: str, timeout_s: float) -> str:
        """How a child ended that did not say it was done."""
        if self.timed_out:
            return f"hangs {stage}: no answer within {timeout_s:g} s, so it was stopped"
        status = 0 if self._process is None else self._process.returncode
        if status >= 0:
            return f"ended the interpreter {stage} with status {status}"
        if -status == signal.SIGKILL:  # closed the line, flooded it, or took all memory
            return f"gave no answer {stage} and was killed"
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        return f"crashed the interpreter {stage} ({name})"


def run(trials: Iterable[Trial], timeout_s: float) -> None:
    """Run trials, a few at a time, each until its last answer, its end or its deadline. No child outlives the call."""
    waiting = list(trials)[::-1]
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or selector.get_map():
                while waiting and len(selector.get_map()) < _AT_A_TIME:
                    trial = waiting.pop()
                    selector.register(trial.start(timeout_s), selectors.EVENT_READ, trial)
                keys = list(selector.get_map().values())
                rest = min(key.data.deadline for key in keys) - time.monotonic()
                ended = {key.fd for key, _ in selector.select(max(rest, 0)) if key.data.read(key.fd)}
                for key in keys:
                    key.data.timed_out = key.fd not in ended and time.monotonic() >= key.data.deadline
                    if key.fd in ended or key.data.timed_out:
                        selector.unregister(key.fd)
                        key.data.stop()
                        os.close(key.fd)  # only now, or a child that still answers would end of that
        finally:
            for key in selector.get_map().values():
                key.data.stop()
                os.close(key.fd)
