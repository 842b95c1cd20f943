"""The policy `retry`."""

from __future__ import annotations

from agentflow_kernel.errors import AgentFlowError
from agentflow_resilience.retry._backoff import Backoff
from agentflow_resilience.retry._verdict import asked_wait_s, why_final

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.policy import Call, Request
    from agentflow_resilience.retry.settings import RetrySettings

_MESSAGE_CHARS = 500


class Retry:
    """Repeats a failed call. Holds no state of a call: calls at the same time do not disturb each other.

    Whatever is no :class:`Exception` passes at once, cancellation above all. Raises nothing of its own: after the last
    attempt the last error is raised as it came, with a note on the attempts.
    """

    def __init__(self, settings: RetrySettings, context: PluginContext) -> None:
        self._settings = settings
        self.repeats = settings.attempts > 1
        self._clock = context.clock
        self._emit = context.emit
        self._backoff = Backoff(settings, context.random)

    def wrap(self, call: Call) -> Call:
        """The call with further attempts; `call` itself where the settings allow only one."""
        if self._settings.attempts == 1:
            return call
        retry = self._retry

        async def retried(request: Request) -> object:
            try:
                return await call(request)
            except Exception as error:  # noqa: BLE001 - the verdict on it follows, outside of this block
                failure = error
            try:
                return await retry(call, request, failure, None)
            finally:
                del failure  # its traceback holds this frame

        if self._settings.deadline_s is None:
            return retried
        monotonic = self._clock.monotonic
        deadline_s = self._settings.deadline_s

        async def retried_in_time(request: Request) -> object:
            end = monotonic() + deadline_s
            try:
                return await call(request)
            except Exception as error:  # noqa: BLE001 - the verdict on it follows, outside of this block
                failure = error
            try:
                return await retry(call, request, failure, end)
            finally:
                del failure  # its traceback holds this frame

        return retried_in_time

    async def _retry(self, call: Call, request: Request, failure: Exception, end: float | None) -> object:
        """All attempts after the first, which ended with `failure`; none begins after `end` of the monotonic clock."""
        attempt = 1
        try:
            while True:
                await self._pause(request, failure, attempt, end)
                attempt += 1
                request.attempt += 1
                try:
                    return await call(request)
                except Exception as error:  # noqa: BLE001 - the verdict on it follows, outside of this block
                    failure = error
        finally:
            del failure  # its traceback holds this frame

    async def _pause(self, request: Request, failure: Exception, attempt: int, end: float | None) -> None:
        """Wait for the time of the next attempt; raise `failure` if there is none."""
        reason = why_final(failure, request)
        if reason is not None:
            if attempt > 1:
                failure.add_note(f"retry: gave up after attempt {attempt}: {reason}.")
            raise failure
        wait_s = self._backoff.wait_s(attempt, asked_wait_s(failure))
        self._raise_if_exhausted(request, failure, attempt, self._why_exhausted(attempt, wait_s, end))
        self._emit("retry.scheduled", {**_describe(request, failure), "wait_s": wait_s})
        if wait_s > 0:
            await self._clock.sleep(wait_s)
            self._raise_if_exhausted(request, failure, attempt, self._why_exhausted(attempt, 0.0, end))

    def _raise_if_exhausted(self, request: Request, failure: Exception, attempt: int, reason: str | None) -> None:
        if reason is not None:
            self._emit("retry.exhausted", {**_describe(request, failure), "attempts": attempt})
            failure.add_note(f"retry: gave up after attempt {attempt}: {reason}.")
            raise failure

    def _why_exhausted(self, attempt: int, wait_s: float, end: float | None) -> str | None:
        if attempt >= self._settings.attempts:
            return "that is the last one allowed"
        if wait_s == float("inf"):
            return "the peer asks to wait without end"
        if end is not None and self._clock.monotonic() + wait_s > end:
            return f"no other can begin within {self._settings.deadline_s:g} s of the first"
        return None


def _describe(request: Request, failure: Exception) -> dict[str, object]:
    """The fields that both events have: the call, and how its attempt number `attempt` failed."""
    return {
        "kind": request.kind,
        "name": request.name,
        "run_id": request.run_id,
        "path": request.path,
        "attempt": request.attempt,
        "error": type(failure).__name__,
        "code": failure.code if isinstance(failure, AgentFlowError) else None,
        "message": str(failure)[:_MESSAGE_CHARS],
    }
