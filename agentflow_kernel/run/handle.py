"""A run handle: how the caller of a run waits for it, looks at it and ends it."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

import anyio

from agentflow_kernel.errors import RunEnded, RunSuspended
from agentflow_kernel.run.beginning import until_begun
from agentflow_kernel.run.fault import sentence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from agentflow_kernel.contracts.journal import RunStatus
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.progress import Progress
    from agentflow_kernel.run.runtime import Run


class _Reader:
    """One who reads the events of a run."""

    __slots__ = ("waiting", "news")

    def __init__(self) -> None:
        self.waiting: deque[Progress] = deque()
        self.news = anyio.Event()


_RESTS = frozenset(("wait.opened", "timer.set", "step.completed", "node.completed", "branch.completed"))
"""Progress after which a run may rest."""


class RunHandle:
    """One run of this kernel. ``durable`` says whether it can be resumed after this process has ended."""

    def __init__(self, run: Run, *, durable: bool) -> None:
        self.run_id = run.run_id
        self.name = run.name
        self.durable = durable
        self.status: RunStatus = "running"
        self.display: str | None = None
        """The text that the flow means for people, once it is completed."""
        run.reachable = True
        self._run = run
        self._output: object = None
        self._error: Exception | None = None
        self._ended = anyio.Event()
        self._readers: list[_Reader] = []
        self._heard = False
        self.scope = anyio.CancelScope()
        self.wish = ""
        self.cause = "asked"
        """Why it is suspended, where that is wished."""
        self.unbegun: Callable[[], Awaitable[None]] | None = None
        """Settles the run in the place of its task, as long as that has not begun."""

    async def result(self) -> object:
        """The run's output. Cancelling this wait leaves the run alone.

        Raises :class:`RunFailed`, :class:`RunCancelled` or :class:`RunSuspended`.
        """
        await self._ended.wait()
        if self._error is not None:
            raise self._error
        return self._output

    async def ended(self) -> None:
        """Return when the run has stopped, however it did."""
        await self._ended.wait()

    async def rested(self) -> None:
        """Return when the run rests or has stopped."""
        if self._run.busy <= 0 or self._ended.is_set():
            return
        events = self.events()
        try:
            async for progress in events:
                if progress.name in _RESTS and at_rest(self):
                    return
        finally:
            await events.aclose()  # type: ignore[attr-defined]  # a generator

    async def events(self) -> AsyncIterator[Progress]:
        """Progress of this run from now on, in order, until it has stopped; what a slow reader has not read waits.

        There may be several readers; each gets every event. One that stops early must be closed (``aclose``).
        """
        reader = _Reader()
        self._hear()
        self._readers.append(reader)
        try:
            while True:
                while reader.waiting:
                    yield reader.waiting.popleft()
                if self._ended.is_set():
                    return
                reader.news = anyio.Event()
                await reader.news.wait()
        finally:
            self._readers.remove(reader)

    def _hear(self) -> None:
        """Have the run tell the readers too; those who listened before go first, as before."""
        if self._heard:
            return
        self._heard = True
        before = self._run.listener

        def listen(progress: Progress) -> None:
            if before is not None:
                before(progress)
            for reader in self._readers:
                reader.waiting.append(progress)
                reader.news.set()

        self._run.listener = listen

    async def cancel(self) -> None:
        """End the run for good; returns when nothing of it is left. A run that has ended stays as it is."""
        await self._stop("cancel")

    async def suspend(self) -> None:
        """Stop the run so that it can be resumed; returns when nothing of it is left."""
        await self._stop("suspend")

    async def signal(self, name: str, value: object = None, *, signal_id: str | None = None) -> bool:
        """Send the run a signal, for ``context.wait(name)``; it is on record when this returns.

        A signal that nobody waits for yet is kept. ``signal_id`` is the sender's: a second signal with the same one
        has no effect, and this returns ``False``; by default each call is a signal of its own.
        Raises :class:`RunEnded` when the run has stopped, :class:`InputInvalid` when the run waits for this signal
        and the value does not fit, :class:`NotSerialisable` when it is not JSON, :class:`UsageError` for a name or an
        id that no signal can have.
        """
        if self._ended.is_set():
            raise RunEnded(self.run_id, self.status)
        from agentflow_kernel.event import uuid7
        from agentflow_kernel.run.standing import check_signal
        from agentflow_kernel.run.waits import accept  # only runs that get signals pay

        signal_id = uuid7() if signal_id is None else signal_id
        check_signal(name, signal_id)
        return await accept(self._run, name, value, signal_id)

    async def answer(
        self, wait: str, value: object, *, by: str = "", content_hash: str = "", answer_id: str | None = None
    ) -> bool:
        """Answer the question at ``wait``, its path; on record when this returns, together with the subject ``by``.

        For an approval ``value`` is ``{"approved": bool, "reason": str}``, and ``content_hash`` must be the hash of
        what is asked; for another question it may be. ``answer_id`` as ``signal_id`` in :meth:`signal`.
        Raises :class:`ApprovalMismatch`, :class:`NotAllowed`, :class:`InputInvalid`, :class:`UnknownName` where
        nothing is asked there, and :class:`RunEnded`.
        """
        if self._ended.is_set():
            raise RunEnded(self.run_id, self.status)
        from agentflow_kernel.event import uuid7
        from agentflow_kernel.run.canonical import to_json
        from agentflow_kernel.run.questions import answer  # only runs that ask people pay

        reply, _ = to_json({"value": value, "by": by, "hash": content_hash}, f"answer to {wait}")
        return await answer(self._run, wait, reply, uuid7() if answer_id is None else answer_id)

    @property
    def questions(self) -> list[dict[str, JSON]]:
        """What the run asks of people at this moment, in the order in which it was asked."""
        return [{"wait": path, **told} for path, told in self._run.standing.asked.items()]

    @property
    def run(self) -> Run:
        """The run itself, for the engine."""
        return self._run

    @property
    def folder(self) -> str | None:
        """Where the run has written files, if it has."""
        base = self._run.services.folder
        folder = None if base is None else os.path.join(base, self.run_id)
        return folder if folder is not None and os.path.isdir(folder) else None

    @property
    def steps(self) -> int:
        """Steps completed by this owner; recalled ones do not count."""
        return self._run.history.steps if self._run.history is not None else 0

    def stop_soon(self, wish: str) -> None:
        """Ask the run to stop (``cancel`` or ``suspend``) without waiting for it; also before it has begun."""
        if not self._ended.is_set():
            if self.wish != "cancel":  # the stronger wish holds, whichever came first
                self.wish = wish
            self.scope.cancel()

    async def _stop(self, wish: str) -> None:
        self.stop_soon(wish)
        with anyio.CancelScope(shield=True):
            if self.unbegun is not None:
                await until_begun()
                settle, self.unbegun = self.unbegun, None
                if settle is not None:  # its task has ended before its first turn: nobody else will
                    await settle()
            await self._ended.wait()

    def settle(self, status: RunStatus, *, output: object = None, error: Exception | None = None) -> None:
        """Called by the engine, once, when the run has stopped."""
        self.status, self._output, self._error = status, output, error
        self._ended.set()
        for reader in self._readers:
            reader.news.set()

    def suspended_error(self, reason: str) -> RunSuspended:
        """The error for those who wait for a run that has stopped without an end."""
        if self.status == "stuck":
            tail = "A person has to decide: it is neither repeated nor skipped by guessing."
        else:
            tail = "It can be resumed." if self.durable else "It is lost: it was not durable."
        return RunSuspended(self.run_id, self.status, f"{sentence(reason)} {tail}")


def at_rest(handle: RunHandle) -> bool:
    """Whether the run goes on and nothing in it is at work: all of it waits for a time, a signal or a person."""
    return handle.run.busy <= 0 and handle.status == "running"
