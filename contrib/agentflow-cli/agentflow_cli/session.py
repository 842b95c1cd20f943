"""A session: runs at work in kernels, watched, interruptible, and reported when they have ended."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import anyio

from agentflow_cli import failure
from agentflow_cli.interrupt import Interrupt
from agentflow_cli.output import show
from agentflow_cli.progress import Lines, Silence, Watch
from agentflow_cli.run_report import RunReport, resume_line
from agentflow_cli.terminal import answer_only, say, write
from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentflow_cli.progress import View
    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel, RunHandle

    Begin = Callable[[Kernel], Awaitable[Sequence[RunHandle]]]
    """Starts or resumes runs in an open kernel and returns their handles."""


class Session:
    """Carries out one command that works on runs."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._interrupt = Interrupt()
        self._watch = Watch(_view(shared))
        self._begun = 0
        self._reports: list[RunReport] = []

    def carry_out(self, work: Sequence[tuple[Kernel, Begin]]) -> int:
        """Begin in each kernel after another, wait for the runs, show what came of them; returns the exit code.

        Ctrl-C suspends the runs at work; they, and those that an error left unfinished, are named with the command
        that goes on with them.
        """
        broken: BaseException | None = None
        try:
            with self._interrupt, answer_only(for_people=self._shared.for_people):
                for kernel, begin in work:
                    if not self._interrupt.asked:
                        anyio.run(self._work, kernel, begin)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - reported below, with the runs that it left unfinished
            broken = error  # code in a manifest may want to exit: it does not decide how the command ends
        finally:
            self._watch.view.close()
        self._report_runs_without_handle()
        self._show_answer()
        unfinished = [report.run_id for report in self._reports if report.status not in TERMINAL]
        code = self._show_errors(broken)
        if unfinished:
            say(f"Go on with: {resume_line(unfinished, self._shared.state)}")
        if self._interrupt.asked and (unfinished or self._begun < len(work)):
            say("Interrupted." if self._reports else "Interrupted; no run was started.")
            return failure.INTERRUPTED
        return code or (failure.FAILED if unfinished else 0)

    async def _work(self, kernel: Kernel, begin: Begin) -> None:
        handles: list[RunHandle] = []
        loop = asyncio.get_running_loop()  # a signal handler needs a loop that can be called from outside
        try:
            with anyio.CancelScope() as scope:
                self._interrupt.on_ask(lambda: loop.call_soon_threadsafe(scope.cancel))
                async with kernel:
                    kernel.listen(self._watch)
                    handles.extend(await begin(kernel))
                    self._begun += 1
                    for handle in handles:
                        await _outcome(handle)
                    await kernel.idle()  # runs that events of these have started
        finally:
            self._interrupt.on_ask(lambda: None)  # the loop is about to close
            for handle in handles:
                self._reports.append(await self._report(handle))

    async def _report(self, handle: RunHandle) -> RunReport:
        """The report of a run that the kernel has let go of."""
        report = RunReport(handle.run_id, handle.name)
        if handle.status != "running":
            report.output, report.error = await _outcome(handle)
            report.take(handle)
        self._add_figures(report)
        return report

    def _report_runs_without_handle(self) -> None:
        """Report the runs that were started by something that did not come to its end itself."""
        known = {report.run_id for report in self._reports}
        for run_id, (name, status) in self._watch.runs.items():
            if run_id not in known:
                report = RunReport(run_id, name)
                report.status = status
                self._add_figures(report)
                self._reports.append(report)

    def _add_figures(self, report: RunReport) -> None:
        report.seconds = self._watch.seconds.get(report.run_id, 0.0)
        report.events = self._watch.emitted.get(report.run_id, {})

    def _show_answer(self) -> None:
        """Put on standard output what the runs gave, and one line for each on standard error."""
        if not self._shared.for_people:
            if self._reports:
                show(self._shared.output, {"runs": [report.as_document() for report in self._reports]})
            return
        for report in self._reports:
            if report.status == "completed":
                write(report.text())
        for report in self._reports:
            say(report.summary())

    def _show_errors(self, broken: BaseException | None) -> int:
        """Say what went wrong; returns the exit code."""
        code = 0
        for report in self._reports:
            if report.error is not None and not self._interrupt.asked:
                code = failure.report(report.error, debug=self._shared.debug)
                say(f"`agentflow describe run {report.run_id}` shows its steps.")
        return code if broken is None else failure.report(broken, debug=self._shared.debug)


async def _outcome(handle: RunHandle) -> tuple[object, RunError | None]:
    """The output of a run, or how else it ended."""
    try:
        return await handle.result(), None
    except RunError as error:
        return None, error


def _view(shared: Shared) -> View:
    """Bars on a terminal, lines elsewhere, nothing where that is asked for."""
    if shared.no_progress:
        return Silence()
    if shared.for_people and sys.stdout is not None and sys.stdout.isatty() and sys.stderr.isatty():
        from agentflow_cli.bars import Bars  # lazy: 50 ms, only where a terminal is

        return Bars()
    return Lines()
