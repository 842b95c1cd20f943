"""A virtual loop: an asyncio event loop on one thread whose time jumps and whose order of tasks comes from a seed."""

from __future__ import annotations

import asyncio
import gc
import heapq
import inspect
import weakref
from bisect import insort
from collections import deque
from typing import TYPE_CHECKING, Any

from agentflow_kernel.errors import Unsupported
from agentflow_kernel.testing.simulation_errors import Deadlock, ProcessEnded

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable, Coroutine
    from random import Random

MAX_TURNS = 2_000_000
"""Turns after which a simulation counts as one that never ends."""
UNWINDING_LIMIT = 100
"""How often a coroutine of an ended process may go on waiting while it is taken down."""
PLACES = 4
"""Places of a waiting task that are named."""
_RETRY = "_deliver_cancellation"
"""anyio repeats a cancellation in every turn until its task has gone: alone it is no progress."""
_REFUSED = (
    "add_reader", "add_writer", "add_signal_handler", "connect_accepted_socket", "connect_read_pipe",
    "connect_write_pipe", "create_connection", "create_datagram_endpoint", "create_server", "create_unix_connection",
    "create_unix_server", "getaddrinfo", "getnameinfo", "sendfile", "sock_accept", "sock_connect", "sock_recv",
    "sock_recv_into", "sock_recvfrom", "sock_sendall", "sock_sendfile", "sock_sendto", "start_tls", "subprocess_exec",
    "subprocess_shell",
)  # fmt: skip


class VirtualTask(asyncio.Task[Any]):
    """A task with a number: sets of tasks have the same order in every process."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], *, number: int, salt: int, **options: Any) -> None:
        self.number = number
        self._hash = hash((salt, number))
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other


class _Queue(asyncio.AbstractEventLoop):
    """What is to be done: callbacks in their order, steps of tasks in any, timers by time."""

    def __init__(self, start: float, salt: int) -> None:
        self._now = start
        self._callbacks: deque[asyncio.Handle] = deque()
        self._steps: list[tuple[int, int, asyncio.Handle]] = []
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0
        self._tasks: list[weakref.ref[VirtualTask]] = []
        self._salt = salt

    def time(self) -> float:
        """Virtual seconds; they pass only when nothing is left to do before a timer."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass on the spot, as for a function that blocks."""
        self._now += max(seconds, 0.0)

    def call_soon(  # type: ignore[override]  # the base class types its arguments variadically
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Call ``callback`` in a later turn."""
        handle = asyncio.Handle(callback, args, self, context)
        self._add(handle, callback)
        return handle

    def _add(self, handle: asyncio.Handle, callback: Callable[..., object]) -> None:
        task = getattr(callback, "__self__", None)
        if isinstance(task, VirtualTask):
            self._count += 1
            insort(self._steps, (task.number, self._count, handle))
        else:
            self._callbacks.append(handle)

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # there is one thread

    def call_later(  # type: ignore[override]  # as above
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call ``callback`` when so much time has passed."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # as above
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call ``callback`` when the time has come."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Called by the handle; it is left out when its time comes."""

    def _pass_time(self) -> bool:
        """Go on to the next timer; whether there was one."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not timers:
            return False
        self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            handle = heapq.heappop(timers)[2]
            if not handle.cancelled():
                self._callbacks.append(handle)
        return True

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **options: Any) -> VirtualTask:  # type: ignore[override]  # as above
        """A task with the next number."""
        task = VirtualTask(coro, number=len(self._tasks) + 1, salt=self._salt, loop=self, **options)
        self._tasks.append(weakref.ref(task))
        return task


class VirtualLoop(_Queue):
    """Runs one simulated process. Callbacks keep their order; of the tasks that can go on, ``dice`` picks one.

    Nothing blocks: where no task can go on, time jumps to the next timer; where there is none, :class:`Deadlock` is
    raised with what each task waits for. Real input and output is refused with :class:`Unsupported`.
    """

    def __init__(self, dice: Random, *, start: float = 0.0) -> None:
        super().__init__(start, dice.getrandbits(48))
        self._random = dice.random
        self._stopping = self._running = self._closed = False
        self.ended = False
        """Whether the process was ended in the middle of its work."""
        self.refused: Unsupported | None = None
        """The first attempt to leave the simulated process."""

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine and of all it has started.

        Raises what it raises, :class:`ProcessEnded` when :meth:`end` was called, and :class:`Deadlock`.
        """
        try:
            result = self.run_until_complete(main)
            self._finish_tasks()
            return result
        finally:
            self._take_down()
            self._closed = True

    def run_until_complete(self, future: Any) -> Any:
        """The result of one future."""
        task = asyncio.ensure_future(future, loop=self)
        task.add_done_callback(lambda _: self.stop())
        self.run_forever()
        return task.result()

    def run_forever(self) -> None:
        """Take turns until :meth:`stop` or :meth:`end`."""
        self._stopping, self._running = False, True
        asyncio._set_running_loop(self)  # noqa: SLF001 -- what asyncio offers to those who write event loops
        try:
            for _ in range(MAX_TURNS):
                self._turn()
                if self.ended:
                    raise ProcessEnded
                if self._stopping:
                    return
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001 -- as above
            self._running = False
        raise Deadlock(self._waiting(), f"It has not come to an end after {MAX_TURNS} turns.")

    def _turn(self) -> None:
        """All callbacks there are, and one step of one task; or the next moment at which there is something to do."""
        for _ in range(len(self._callbacks)):
            self._callbacks.popleft()._run()  # noqa: SLF001 -- what event loops do with their handles
            if self.ended:
                return
        steps = self._steps
        if steps:
            place = int(self._random() * len(steps)) if len(steps) > 1 else 0
            steps.pop(place)[2]._run()  # noqa: SLF001 -- as above
        elif self._stopping or any(not _is_retry(handle) for handle in self._callbacks):
            return
        elif not self._pass_time():
            raise Deadlock(self._waiting())

    def _waiting(self) -> list[str]:
        """What the tasks wait for, in the order of their making."""
        return [f"{task.get_name()} in {_place(task)}" for task in self._alive()]

    def _alive(self) -> list[VirtualTask]:
        tasks = [task() for task in self._tasks]
        return [task for task in tasks if task is not None and not task.done()]

    def _finish_tasks(self) -> None:
        """Cancel what the main coroutine has left behind, as ``asyncio.run`` does."""
        left = self._alive()
        for task in left:
            task.cancel()
        if left:
            self.run_until_complete(asyncio.gather(*left, return_exceptions=True))

    def refusal(self, what: str) -> Unsupported:
        """The error for what would leave the simulated process; it is kept, whatever becomes of it."""
        error = Unsupported(
            f"Real input and output ({what})",
            "this is a simulation, in which nothing may depend on the outside; put a fake or a cassette in its place.",
        )
        self.refused = self.refused or error
        return error

    def end(self) -> None:
        """End the process: no task goes on from here. Await :meth:`nothing` after it."""
        self.ended = True

    async def nothing(self) -> None:
        """Wait for what never comes."""
        await self.create_future()

    def _take_down(self) -> None:
        """Leave the coroutines where they stand; their ``finally`` clauses run against a process that is gone."""
        self.ended = True
        asyncio._set_running_loop(self)  # noqa: SLF001 -- what asyncio offers to those who write event loops
        for task in self._alive():
            asyncio._enter_task(self, task)  # noqa: SLF001 -- as above
            _unwind(task.get_coro())
            asyncio._leave_task(self, task)  # noqa: SLF001 -- as above
        asyncio._set_running_loop(None)  # noqa: SLF001 -- as above
        self._callbacks.clear()
        self._steps.clear()
        self._timers.clear()

    def stop(self) -> None:
        """Return from :meth:`run_forever` after this turn."""
        self._stopping = True

    def is_running(self) -> bool:
        """Whether it takes turns."""
        return self._running

    def is_closed(self) -> bool:
        """Whether :meth:`run` is over."""
        return self._closed

    def get_debug(self) -> bool:
        """Debug mode is off: it would look at the real clock."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Raise what nobody took; an ended process cares for nothing."""
        if not self.ended:
            error = context.get("exception")
            raise error if isinstance(error, BaseException) else RuntimeError(context.get("message"))

    def get_task_factory(self) -> None:
        """There is none: tasks have numbers."""
        return

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # as above
        """Call ``func`` on the spot."""
        future = self.create_future()
        try:
            future.set_result(on_the_spot(func, *args))
        except Exception as error:  # noqa: BLE001 -- for whoever awaits it
            future.set_exception(error)
        return future


def on_the_spot(function: Callable[..., Any], *args: Any) -> Any:
    """Call a plain function as a worker thread would: without a running event loop."""
    loop = asyncio._get_running_loop()  # noqa: SLF001 -- what asyncio offers to those who write event loops
    asyncio._set_running_loop(None)  # noqa: SLF001 -- as above
    try:
        return function(*args)
    finally:
        asyncio._set_running_loop(loop)  # noqa: SLF001 -- as above


def _unwind(coroutine: Any) -> None:
    """End a coroutine where it stands, however often it goes on waiting."""
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        for value in coroutine.cr_frame.f_locals.values():
            for part in (value, *gc.get_referents(value)):  # what it was to run is never awaited, which is no mistake
                if inspect.iscoroutine(part) and inspect.getcoroutinestate(part) == inspect.CORO_CREATED:
                    part.close()
    for _ in range(UNWINDING_LIMIT):
        try:
            coroutine.throw(ProcessEnded())
        except BaseException:  # noqa: BLE001 -- nobody is left who could care
            return


def _is_retry(handle: asyncio.Handle) -> bool:
    return getattr(handle._callback, "__name__", "") == _RETRY  # type: ignore[attr-defined]  # noqa: SLF001 -- as above


def _place(task: asyncio.Task[Any]) -> str:
    """Where a task waits, the innermost place last."""
    places, inner = [], task.get_coro()
    while (frame := getattr(inner, "cr_frame", None)) is not None:
        places.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
        inner = inner.cr_await  # type: ignore[union-attr]  # it has a frame
    return " > ".join(places[-PLACES:])


def _refuse(name: str) -> Callable[..., Any]:
    def refused(self: VirtualLoop, *args: object, **options: object) -> Any:
        raise self.refusal(f"loop.{name}")

    refused.__name__ = name
    return refused


for _name in _REFUSED:
    setattr(VirtualLoop, _name, _refuse(_name))
