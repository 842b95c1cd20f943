"""An interrupt: the first Ctrl-C (or SIGTERM) asks the runs to suspend, the second ends the process at once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING, Final

from agentflow_cli.failure import INTERRUPTED

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterator
    from types import FrameType, TracebackType
    from typing import Any, Self

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def waking(loop: AbstractEventLoop) -> Iterator[None]:
    """Have signals wake the event loop: one that comes just before the loop goes to sleep would wait with it.

    Python runs a handler when the main thread runs Python again, which a loop without work may never do.
    """
    receiver, sender = socket.socketpair()
    with receiver, sender:
        receiver.setblocking(False)
        sender.setblocking(False)
        loop.add_reader(receiver, lambda: receiver.recv(64))
        before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(receiver)


class Interrupt:
    """A context manager that owns both signals while runs work; ``asked`` says whether one has come.

    A signal that the caller of the program ignores (`nohup`, a shell's background job) stays ignored. Handlers run
    between two instructions of the main thread, not in the event loop: a node that keeps the loop busy cannot keep
    the second signal from ending the process.
    """

    def __init__(self) -> None:
        self.asked = False
        self._stop: Callable[[], object] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def on_ask(self, stop: Callable[[], object]) -> None:
        """Have ``stop`` called at the first signal, on the main thread; at once if it has come already."""
        self._stop = stop
        if self.asked:
            stop()

    def __enter__(self) -> Self:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            os._exit(INTERRUPTED)
        self.asked = True
        with contextlib.suppress(OSError):  # nobody reads standard error; sys.stderr may be in the middle of a write
            os.write(2, b"\nSuspending; a second signal ends at once.\n")
        if self._stop is not None:
            self._stop()
