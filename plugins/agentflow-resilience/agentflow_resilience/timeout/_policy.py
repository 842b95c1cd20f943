"""The policy `timeout`."""

from __future__ import annotations

import anyio

from agentflow_kernel.errors import Elapsed, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.policy import Call, Request
    from agentflow_resilience.timeout.settings import TimeoutSettings


class Timeout:
    """Cancels a call that takes too long, and raises :class:`Elapsed` in its place.

    Only a cancellation that this policy caused is converted; one from outside passes, also when it comes together with
    the end of the time. The time is that of the event loop, not of the context's clock: only the loop can wake a
    call that waits for something else.
    """

    repeats: ClassVar[bool] = False

    def __init__(self, settings: TimeoutSettings, context: PluginContext) -> None:
        self._timeout_s = settings.timeout_s
        self._emit = context.emit

    def wrap(self, call: Call) -> Call:
        """The call with an end to its time. It needs an event loop, and raises :class:`Unsupported` without one."""
        timeout_s, emit = self._timeout_s, self._emit

        async def timed(request: Request) -> object:
            try:
                scope = anyio.move_on_after(timeout_s)
            except RuntimeError as error:
                raise Unsupported("The policy 'timeout'", "there is no event loop to wake the call.") from error
            with scope:
                return await call(request)
            emit(
                "timeout.elapsed",
                {
                    "kind": request.kind,
                    "name": request.name,
                    "run_id": request.run_id,
                    "path": request.path,
                    "attempt": request.attempt,
                    "timeout_s": timeout_s,
                },
            )
            raise Elapsed(f"{request.kind.capitalize()} {request.name!r}", timeout_s)

        return timed
