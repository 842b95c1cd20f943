"""A signal that comes when the event loop has nothing to do, and never will, is handled at once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import TYPE_CHECKING

from agentflow_cli.interrupt import waking

if TYPE_CHECKING:
    from types import FrameType


def test_a_signal_taken_by_another_thread_wakes_the_loop() -> None:
    """Any thread of the process may be given it; only the main one runs the handler."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        come = asyncio.Event()

        def handle(number: int, frame: FrameType | None) -> None:
            come.set()

        def raise_here() -> None:
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

        before = signal.signal(signal.SIGUSR1, handle)
        try:
            with waking(loop):
                thread = threading.Timer(0.05, raise_here)
                thread.start()
                await asyncio.wait_for(come.wait(), 30)
                thread.join()
        finally:
            signal.signal(signal.SIGUSR1, before)

    open_before = set(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert set(os.listdir("/proc/self/fd")) <= open_before  # what other tests have left open may be closed meanwhile
    assert signal.set_wakeup_fd(-1) == -1
