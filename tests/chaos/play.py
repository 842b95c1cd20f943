"""A play: what one process does with a case in its open kernel, and what people and peers outside do meanwhile."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from agentflow_kernel import Event
from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.errors import AgentFlowError, RunError
from agentflow_kernel.run.inbox import leave_cancel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from flows import Case, Copy, Send

    from agentflow_kernel import Kernel, Progress, RunHandle

KEY = "one"
"""The run has the same id in every process, so that whoever comes next finds it."""


class Play:
    """One process's part in a case. What it has to hear of the kernel comes by :meth:`hear`.

    ``suspended`` is called with the id of a run that was suspended, before it is taken up again. ``is_gone`` says
    whether the process has ended: then nothing is sent any more, and no error counts.
    """

    def __init__(
        self,
        case: Case,
        answers: dict[str, int],
        *,
        state: str | None = None,
        suspended: Callable[[str], Awaitable[None]] | None = None,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> None:
        self.case = case
        self.answers = answers
        self.state = state
        self.refused: list[str] = []
        """Codes of the errors that senders got."""
        self._suspended = suspended
        self._is_gone = is_gone
        self._told: Counter[str] = Counter()
        self._news = anyio.Event()
        self._resumed = 0

    async def perform(self, kernel: Kernel, target: Any) -> tuple[str, Any]:
        """Start the run or go on with it; how it ended: status, and output or code."""
        if self.case.manifest:
            return await self._fire(kernel)
        if self.case.event:
            kernel.on(self.case.event)(starter(kernel, target))
            await kernel.publish(Event(self.case.event, self.case.input, source="shop", id=KEY))
            await kernel.idle()
            return await self._ended(await kernel.start(target, self.case.input, key=f"shop/{KEY}"))
        handle = await kernel.start(target, self.case.input, key=KEY)
        ended = await self._to_the_end(kernel, handle)
        copy = self.case.copy
        if copy is None or ended not in copy.first:
            return ended
        return await self._copied(kernel, handle.run_id, copy)

    async def _to_the_end(self, kernel: Kernel, handle: RunHandle) -> tuple[str, Any]:
        while True:
            ended = await self._accompany(kernel, handle)
            if ended[0] != "suspended" or self._resumed >= self.case.resumes or self._is_gone():
                return ended
            self._resumed += 1
            if self._suspended is not None:
                await self._suspended(handle.run_id)
            handle = await kernel.resume(handle.run_id)

    async def _copied(self, kernel: Kernel, run_id: str, copy: Copy) -> tuple[str, Any]:
        """How the copy ended that a person makes after mending what was wrong, unless there is one already."""
        self.answers["mended"] = 1
        found = [info for info in await kernel.runs(limit=1000) if info.parent == run_id]
        if not found:
            if copy.kind == "retry":
                handle = await kernel.retry(run_id, copy.step, by="ada")
            elif copy.value is None:
                handle = await kernel.fork(run_id, copy.step, by="ada")
            else:
                handle = await kernel.fork(run_id, copy.step, value=copy.value, by="ada")
        elif found[0].status in TERMINAL:
            payload: Any = (await kernel.history(found[0].run_id))[-1].payload
            return payload["status"], payload.get("output") if payload["status"] == "completed" else payload["code"]
        else:
            handle = await kernel.resume(found[0].run_id)
        return await self._to_the_end(kernel, handle)

    async def _fire(self, kernel: Kernel) -> tuple[str, Any]:
        """Let the source send what is left; how many runs there are in the end, when all have completed."""
        await kernel.recover()
        if self.case.event:
            await kernel.publish(Event(self.case.event, self.case.input, source="shop", id=KEY))
        else:
            await kernel.fire(f"trigger/{self.case.name}")
        await kernel.idle()
        infos = await kernel.runs(limit=1000)
        statuses = {info.status for info in infos}
        return ("completed", len(infos)) if statuses == {"completed"} else (",".join(sorted(statuses)), "")

    async def _accompany(self, kernel: Kernel, handle: RunHandle) -> tuple[str, Any]:
        """Wait for the end of a run while others send to it what the case says."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._send, kernel, handle)
            ended = await self._ended(handle)
            group.cancel_scope.cancel()
        for send in self.case.sends:
            if send.when == "ended":
                await self._do(kernel, handle, send)
        return ended

    async def _ended(self, handle: RunHandle) -> tuple[str, Any]:
        try:
            return "completed", await handle.result()
        except RunError as error:
            if handle.status == "stuck":
                return "stuck", "AF-NON-DETERMINISM"
            return handle.status, error.code

    async def _send(self, kernel: Kernel, handle: RunHandle) -> None:
        """Send at once what is for at once, then each group as soon as its event was told.

        A process that comes later may never be told of some of them: what they wait for is over.
        """
        groups: dict[str, list[Send]] = {}
        for send in self.case.sends:
            if send.when != "ended" and not (send.kind == "suspend" and self._resumed):
                groups.setdefault(send.when, []).append(send)
        for send in groups.pop("", ()):
            await self._do(kernel, handle, send)
        async with anyio.create_task_group() as group:
            for when, sends in groups.items():
                group.start_soon(self._send_when, when, sends, kernel, handle)

    async def _send_when(self, when: str, sends: Sequence[Send], kernel: Kernel, handle: RunHandle) -> None:
        while not self._told[when]:
            await self._news.wait()
        for send in sends:
            await self._do(kernel, handle, send)
            if send.kind == "suspend":
                return

    async def _do(self, kernel: Kernel, handle: RunHandle, send: Send) -> None:
        try:
            if send.kind == "signal":
                await handle.signal(send.name, send.value, signal_id=send.id)
            elif send.kind == "answer":
                shown = {str(asked["wait"]): str(asked["hash"]) for asked in handle.questions}
                content_hash = send.hash or shown.get(send.name, "")
                await handle.answer(send.name, send.value, by=send.by, content_hash=content_hash, answer_id=send.id)
            elif send.kind == "event":
                await kernel.publish(Event(send.name, send.value, source="shop", id=send.id))
            elif send.kind == "inbox_cancel":
                assert self.state is not None
                await anyio.to_thread.run_sync(leave_cancel, self.state, handle.run_id)
            else:
                handle.stop_soon(send.kind)
        except Exception as error:
            if self._is_gone():  # nobody hears of it
                return
            if not isinstance(error, AgentFlowError):
                raise
            self.refused.append(error.code)

    def hear(self, progress: Progress) -> None:
        """What the kernel tells."""
        name = progress.fields.get("name") if progress.name == "wait.opened" else None
        self._told[f"{progress.name}:{name}" if name else progress.name] += 1
        self._news.set()
        self._news = anyio.Event()


def starter(kernel: Kernel, target: Any) -> Any:
    """A handler that starts a run of a flow for each event, and finds it when the event comes again."""

    async def start(event: Event) -> None:
        await kernel.start(target, event.data, key=f"{event.source}/{event.id}")

    return start
