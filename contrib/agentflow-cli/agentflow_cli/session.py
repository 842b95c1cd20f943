"""A session: runs at work in kernels, watched, interruptible, and reported when they have ended."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any, Final

import anyio

from agentflow_cli import failure
from agentflow_cli.advice import Advice
from agentflow_cli.interrupt import Interrupt, waking
from agentflow_cli.output import show
from agentflow_cli.progress import Lines, Silence, Watch
from agentflow_cli.run_log import RunLog
from agentflow_cli.run_report import RunReport, told_error
from agentflow_cli.telemetry_setup import exporting
from agentflow_cli.terminal import answer_only, say, write
from agentflow_kernel.collector import relax
from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.errors import RunError
from agentflow_kernel.run.handle import at_rest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentflow_cli.progress import View
    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel, RunHandle

    Begin = Callable[[Kernel], Awaitable[Sequence[RunHandle]]]
    """Starts or resumes runs in an open kernel and returns their handles."""

NEEDS_A_PERSON: Final = frozenset({"stuck", "quarantined"})
"""Statuses in which a run would only stop again where it stopped."""


class Session:
    """Carries out one command that works on runs."""

    def __init__(self, shared: Shared, *, until_rest: bool = False) -> None:
        self._shared = shared
        self._until_rest = until_rest
        """Whether runs that wait for more from outside need not end."""
        self._rested: set[str] = set()
        self._interrupt = Interrupt()
        self._watch = Watch(_view(shared))
        self._begun = 0
        self._reports: list[RunReport] = []
        self._advice: dict[str, Advice] = {}
        """How the runs that may be looked for again are found, by run id."""

    def carry_out(self, work: Sequence[tuple[Kernel, Begin]]) -> int:
        """Begin in each kernel after another, wait for the runs, show what came of them; returns the exit code.

        Ctrl-C suspends the runs at work; they, and those that an error left unfinished, are named with the command
        that goes on with them.
        """
        broken: BaseException | None = None
        relax()
        try:
            with self._interrupt, answer_only(for_people=self._shared.for_people), exporting():
                for kernel, begin in work:
                    if not self._interrupt.asked:
                        anyio.run(self._work, kernel, begin)
        except BaseException as error:  # noqa: BLE001 - reported below, with the runs that it left unfinished
            broken = error  # code in a manifest may raise anything: it does not decide how the command ends
        finally:
            self._watch.view.close()
        self._report_runs_without_handle()
        self._show_answer()
        raised = broken is not None and failure.interrupts(broken)
        interrupted = self._interrupt.asked or raised
        code = self._show_errors(broken, interrupted=interrupted)
        unfinished = self._show_unfinished()
        if interrupted and (raised or unfinished or self._begun < len(work)):
            say("Interrupted." if self._reports else "Interrupted; no run was started.")
            return failure.INTERRUPTED
        return code or (failure.FAILED if unfinished else 0)

    def _show_unfinished(self) -> bool:
        """Say how to go on with the runs that have no end yet; returns whether there are any."""
        together: dict[str, tuple[Advice, list[str]]] = {}
        resting = 0
        for report in self._reports:
            if report.run_id in self._rested and report.status == "suspended":
                resting += 1
            elif report.status not in TERMINAL and report.status not in NEEDS_A_PERSON:
                advice = self._advice_for(report)
                together.setdefault(advice.resume_line([]), (advice, []))[1].append(report.run_id)
        for advice, run_ids in together.values():
            say(f"Go on with: {advice.resume_line(run_ids)}")
        if resting:
            say(f"{resting} run{' waits' if resting == 1 else 's wait'} for what is still to come; its event goes on.")
        return bool(together)

    def _advice_for(self, report: RunReport) -> Advice:
        return self._advice.get(report.run_id, Advice(self._shared.state))

    async def _work(self, kernel: Kernel, begin: Begin) -> None:
        handles: list[RunHandle] = []
        loop = asyncio.get_running_loop()  # a signal handler needs a loop that can be called from outside
        if not self._shared.debug:
            loop.set_exception_handler(_log_unless_raised)
        try:
            with waking(loop), anyio.CancelScope() as scope:
                self._interrupt.on_ask(lambda: loop.call_soon_threadsafe(scope.cancel))
                async with kernel:
                    kernel.listen(self._watch)
                    kernel.listen(RunLog())
                    try:
                        handles.extend(await begin(kernel))
                        self._begun += 1
                        if self._until_rest:
                            await kernel.idle(resting=True)
                            self._rested = {handle.run_id for handle in handles if at_rest(handle)}
                        else:
                            for handle in handles:
                                await _outcome(handle)
                            await kernel.idle()  # runs that events of these have started
                    finally:
                        await self._take_advice(kernel)
        finally:
            self._interrupt.on_ask(lambda: None)  # the loop is about to close
            for handle in handles:
                self._reports.append(await self._report(handle))

    async def _take_advice(self, kernel: Kernel) -> None:
        """Ask the open kernel how its runs that are not completed can be found again."""
        mine = [run_id for run_id in self._watch.runs if run_id not in self._advice]
        mine = [run_id for run_id in mine if self._watch.runs[run_id][1] != "completed"]
        if not mine:
            return
        advice = Advice(self._shared.state)
        with anyio.CancelScope(shield=True), contextlib.suppress(Exception):  # of a broken journal: no advice
            origin = await kernel.origin(mine[0])  # the runs of a kernel have one manifest
            environment = origin.get("environment")
            advice.names = tuple(environment) if isinstance(environment, dict) else ()
            if kernel.manifest is not None and kernel.manifest.of("Journal"):
                advice.file = str(origin["manifest"])
        self._advice.update(dict.fromkeys(mine, advice))

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
                if run_id in self._watch.errors:
                    report.error = told_error(run_id, status, *self._watch.errors[run_id])
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

    def _show_errors(self, broken: BaseException | None, *, interrupted: bool) -> int:
        """Say what went wrong; returns the exit code."""
        code, debug = 0, self._shared.debug
        for report in self._reports:
            if report.status in NEEDS_A_PERSON:
                code = self._show_stuck(report)
            elif report.error is not None and not (
                report.status not in TERMINAL and (interrupted or report.run_id in self._rested)
            ):
                code = failure.report(report.error, debug=debug)
                say(f"`{self._advice_for(report).describe_line(report.run_id)}` shows its steps.")
        for letter in self._watch.dead_letters:
            say(failure.dead_letter_line(*letter))
            code = failure.FAILED
        if broken is None or failure.interrupts(broken):
            return code
        return failure.report(broken, debug=debug)

    def _show_stuck(self, report: RunReport) -> int:
        """Say why a run is stuck, and that resuming it is not the way on."""
        if report.error is not None:
            failure.report(report.error, debug=self._shared.debug)
        describe = self._advice_for(report).describe_line(report.run_id)
        say(f"Run {report.run_id} is {report.status}: a person has to decide; `{describe}` shows its steps.")
        return failure.FAILED


async def _outcome(handle: RunHandle) -> tuple[object, RunError | None]:
    """The output of a run, or how else it ended."""
    try:
        return await handle.result(), None
    except RunError as error:
        return None, error


def _log_unless_raised(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Leave out what tasks raise when an interrupt by code in a run ends the loop: the command reports it itself."""
    if context.get("message") != "unhandled exception during asyncio.run() shutdown":
        loop.default_exception_handler(context)


def _view(shared: Shared) -> View:
    """Bars on a terminal, lines elsewhere, nothing where that is asked for."""
    if shared.no_progress:
        return Silence()
    if shared.for_people and sys.stdout is not None and sys.stdout.isatty() and sys.stderr.isatty():
        from agentflow_cli.bars import Bars  # lazy: 50 ms, only where a terminal is

        return Bars()
    return Lines()
