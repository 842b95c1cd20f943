"""The execution: one run from its first record to its last, whatever happens in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio

from agentflow_kernel.errors import (
    AppendConflict,
    Fenced,
    NonDeterminism,
    PlanFailed,
    RunCancelled,
    RunFailed,
    RunSuspended,
    SeveralFailed,
)
from agentflow_kernel.run.canonical import to_json
from agentflow_kernel.run.fault import code_of, stray_cancellation, text_of
from agentflow_kernel.run.runtime import Frame
from agentflow_kernel.run.settle import publish_event
from agentflow_kernel.run.walk import run_frame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from agentflow_kernel.contracts.journal import RunStatus
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.handle import RunHandle
    from agentflow_kernel.run.runtime import Run


class Execution:
    """One run at work. ``work`` never raises an error of the run: it ends up in the handle."""

    __slots__ = ("run", "start", "value", "handle", "frame")

    def __init__(self, run: Run, start: BoundNode, value: object, handle: RunHandle) -> None:
        self.run = run
        self.start = start
        self.value = value
        self.handle = handle
        self.frame = Frame(run, start.graph, value)

    def work(self) -> Awaitable[None]:
        """Run to an end, a suspension or a failure, put that on record, and settle the handle."""
        observer = self.run.observer
        return self._work() if observer is None else observer.work(self._work())

    async def _work(self) -> None:
        try:
            self.handle.unbegun = None
            with self.handle.scope:
                self._tell_start()
                if self.handle.wish != "cancel" and not self._is_ending():  # asked for before the run was taken up
                    output = await self._walk()
                    await self._complete(output)
                    return
            await (self._go_on_ending() if self._is_ending() else self._stopped())
        except anyio.get_cancelled_exc_class() as error:
            stray = stray_cancellation(error, self.run.name)
            with anyio.CancelScope(shield=True):
                await (self._stopped() if stray is None else self._failed(stray))
            if stray is None:
                raise
        except GeneratorExit:  # the loop is gone: nothing can be awaited any more
            raise
        except KeyboardInterrupt:  # it is the process that is to stop: the run can be resumed
            with anyio.CancelScope(shield=True):
                await self._suspend("suspended", self.handle.cause, "It was interrupted.")
            raise
        except BaseException as error:  # noqa: BLE001 -- every failure of a run belongs to its handle
            with anyio.CancelScope(shield=True):
                await self._failed(error)

    async def stop_unbegun(self) -> None:
        """Do what :meth:`work` does for a run that is stopped, in its place: it has never begun."""
        await self._stopped()

    def _tell_start(self) -> None:
        if self.run.listener is not None:
            history = self.run.history
            resumed = history is not None and history.epoch > 1
            self.run.tell("run.started", "", {"name": self.run.name, "resumed": resumed})

    async def _walk(self) -> object:
        history = self.run.history
        if history is not None:
            for event_id, payload in list(history.unpublished.items()):
                await publish_event(self.run, event_id, payload)
            if history.position is not None:
                self._go_to(history.position)
            if self.start.kind in ("plan", "agent") and len(self.start.graph.steps) == 1:
                self.run.alone = (self.start.name, self.value)
        if self.start.graph.timeout_s is not None:
            from agentflow_kernel.run.limits import limited_frame  # only flows with a limit pay

            return await limited_frame(self.frame, self.start, self.value)
        return await run_frame(self.frame, self.start, self.value)

    def _go_to(self, position: Mapping[str, JSON]) -> None:
        """Begin where a snapshot says."""
        frame, name = self.frame, str(position["node"])
        node = self.start.bound.get(name)
        if node is None:
            raise NonDeterminism(self.run.run_id, name, "the flow has no such node any more. Put it back.")
        frame.roots.update(cast("Mapping[str, JSON]", position["roots"]))
        frame.visits.update(cast("Mapping[str, int]", position["visits"]))
        state = cast("Mapping[str, JSON]", position["state"])
        if state or frame.roots["state"]:
            gone: dict[str, JSON] = {key: [] for key in frame.state.values() if key not in state}
            frame.restore({"state": {**gone, **{key: [value] for key, value in state.items()}}}, name)
        self.start, self.value = node, position["value"]

    async def _complete(self, output: object) -> None:
        display = self.frame.graph.display
        shown = None if display is None else str(display.fill(self.frame.roots))
        if self.run.history is not None:
            output, text = to_json(output, "output")
            payload: dict[str, JSON] = {"status": "completed", "output": output}
            with anyio.CancelScope(shield=True):
                await self.run.history.commit([("run.ended", "", payload, "", len(text))])
        self.handle.display = shown
        self._settle("completed", output=output)

    def _is_ending(self) -> bool:
        """Whether an earlier owner has begun to compensate: then nothing else is done any more."""
        history = self.run.history
        return history is not None and history.standing is not None and history.standing.ending is not None

    async def _go_on_ending(self) -> None:
        """Compensate what is left, and end the run as it was about to end."""
        from agentflow_kernel.run.compensate import ending_of  # only runs that compensate pay

        payload = dict(ending_of(self.run) or {})
        if payload["status"] == "cancelled":
            error: Exception = RunCancelled(self.run.run_id)
        else:
            error = RunFailed(self.run.run_id, *(str(payload[key]) for key in ("code", "error", "path")))
        with anyio.CancelScope(shield=True):
            await self._end(payload["status"], payload, error)  # type: ignore[arg-type]  # as it was put on record

    async def _stopped(self) -> None:
        """The run was asked to stop: for good, or to go on later."""
        self.run.cancelled = True
        if self.handle.wish == "cancel":
            payload: dict[str, JSON] = {"status": "cancelled", "abandoned": list(self.run.abandoned)}
            await self._end("cancelled", payload, RunCancelled(self.run.run_id, self.run.abandoned))
        elif self.run.history is not None and isinstance(self.run.history.broken, Fenced):
            await self._failed(self.run.history.broken)
        else:
            await self._suspend("suspended", self.handle.cause, "It was stopped on request.")

    async def _failed(self, error: BaseException) -> None:
        code, text = code_of(error), text_of(error)
        if isinstance(error, Fenced | AppendConflict):  # the run has another owner: it says how the run ends
            self._settle("suspended", error=RunSuspended(self.run.run_id, "suspended", text))
        elif isinstance(error, NonDeterminism):
            await self._suspend("stuck", code, f"at {error.path!r}: {error.problem}")
        elif getattr(error, "resumable", False) and self.handle.durable:
            await self._suspend("suspended", code, text)
        else:
            path = self.run.origin_of(error)
            failure = RunFailed(self.run.run_id, code, text, path)
            failure.__cause__ = error
            ending: dict[str, JSON] = {"status": "failed", "code": code, "error": text, "path": path}
            if isinstance(error, SeveralFailed):
                told = zip(error.paths, error.exceptions, strict=False)
                ending["errors"] = [{"path": at, "code": code_of(each), "message": text_of(each)} for at, each in told]
            if isinstance(error, PlanFailed) and error.state is not None:
                ending["state"] = error.state
            await self._end("failed", ending, failure)

    async def _end(self, status: RunStatus, payload: dict[str, JSON], error: Exception) -> None:
        """End the run; one whose end a durable journal cannot take is suspended: a later owner ends it."""
        if self._is_ending() or self.run.undo or self._has_undo():
            from agentflow_kernel.run.compensate import compensate  # only runs that compensate pay

            try:
                payload = await compensate(self.run, self.start, payload)
            except NonDeterminism as parked:
                await self._suspend("stuck", code_of(parked), f"at {parked.path!r}: {parked.problem}")
                return
            except Exception as broken:  # noqa: BLE001 -- the journal failed: a later owner goes on
                self._settle("suspended", reason=f"Its compensations could not go on: {text_of(broken)}")
                return
        fault = await self._record("run.ended", payload)
        if fault is None or not self.handle.durable:
            self._settle(status, error=error)
        else:
            self._settle("suspended", reason=f"It was {status}, and that could not be put on record: {text_of(fault)}")

    def _has_undo(self) -> bool:
        """Whether an earlier owner completed a step that has a compensation."""
        history = self.run.history
        return history is not None and any("undo" in record.payload for record in history.done.values())  # type: ignore[operator]  # an object

    async def _suspend(self, status: RunStatus, cause: str, reason: str) -> None:
        fault = await self._record("run.suspended", {"status": status, "cause": cause, "error": reason})
        if fault is not None and self.handle.durable:
            status = "suspended"  # nobody is told that it is parked before that is on record
        self._settle(status, reason=reason, cause=cause)

    async def _record(self, kind: str, payload: dict[str, JSON]) -> Exception | None:
        """Put the end on record; when the journal cannot, the run shows as suspended by a crash, which is true.

        Returns why it could not.
        """
        if self.run.history is None:
            return None
        size = len(to_json(payload["state"], "")[1]) if "state" in payload else 0  # all else in it is small
        try:
            await self.run.history.commit([(kind, "", payload, "", size)])  # type: ignore[list-item]  # a record type
        except Exception as error:  # noqa: BLE001 -- whatever it is, those who wait for the run must hear of its end
            self._warn("run.end_not_recorded", error)
            return error
        return None

    def _warn(self, what: str, error: Exception) -> None:
        from agentflow_kernel.telemetry import get_logger  # only where something went wrong

        get_logger("agentflow.run").warning(what, run_id=self.run.run_id, error=text_of(error))

    def _settle(
        self,
        status: RunStatus,
        *,
        output: object = None,
        error: Exception | None = None,
        reason: str = "",
        cause: str = "",
    ) -> None:
        handle = self.handle
        handle.status = status
        if error is None and status != "completed":
            error = handle.suspended_error(reason)
        if self.run.listener is not None:
            fields = {} if error is None else {"code": code_of(error), "message": str(error)}
            try:
                self.run.tell(f"run.{status}", "", fields)
            except Exception as fault:  # noqa: BLE001 -- the run has ended already, as it is on record
                self._warn("run.end_not_told", fault)
        if self.run.observer is not None:
            self.run.observer.end(status, error, cause=cause, reason=reason)
        handle.settle(status, output=output, error=error)
