"""A serving: one kernel that takes over what other workers have left, from its opening to the signal that ends it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import anyio

from agentflow_cli.interrupt import Interrupt, waking
from agentflow_cli.run_log import RunLog
from agentflow_cli.telemetry_setup import exporting
from agentflow_cli.terminal import one_line, say
from agentflow_kernel.collector import relax

if TYPE_CHECKING:
    from agentflow_kernel import Kernel, Progress

ENDS: Final = frozenset(
    ("run.completed", "run.failed", "run.cancelled", "run.suspended", "run.stuck", "run.quarantined")
)


class Serving:
    """Carries out `agentflow worker`."""

    def __init__(self) -> None:
        self._interrupt = Interrupt()

    def carry_out(self, kernel: Kernel) -> int:
        """Serve until the first signal; returns the exit code, 0, once every run is handed over.

        Raises what the journal raises where the kernel cannot be opened.
        """
        kernel.adopt = True
        relax()
        with self._interrupt, exporting():
            anyio.run(self._serve, kernel)
        say("Stopped; what was at work is handed over.")
        return 0

    async def _serve(self, kernel: Kernel) -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        try:
            with waking(loop):
                self._interrupt.on_ask(lambda: loop.call_soon_threadsafe(stop.set))
                async with kernel:
                    kernel.listen(_tell)
                    kernel.listen(RunLog())
                    say("Serving; SIGTERM or Ctrl-C ends it.")
                    await stop.wait()
        finally:
            self._interrupt.on_ask(lambda: None)  # the loop is about to close


def _tell(progress: Progress) -> None:
    """One line for each run that begins here, and one for how it stops."""
    if progress.name == "run.started":
        verb = "resumed" if progress.fields.get("resumed") else "started"
        say(f"run {progress.run_id} {verb}: {one_line(str(progress.fields.get('name') or ''))}")
    elif progress.name in ENDS:
        code = "" if progress.name == "run.suspended" else progress.fields.get("code")
        more = f" [{code}] {one_line(str(progress.fields.get('message', '')))}" if code else ""
        say(f"run {progress.run_id} {progress.name.removeprefix('run.')}{more}")
