"""An isolation: time, chance and ids of a simulated process come from its seed, real I/O is refused."""

from __future__ import annotations

import atexit
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import anyio.to_thread

from agentflow_kernel.event import restart_ids
from agentflow_kernel.testing.virtual_loop import on_the_spot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentflow_kernel.testing.virtual_loop import VirtualLoop

_NS = 1_000_000_000
_local = threading.local()
"""``inside``: the isolation of this thread; all other threads of the process go on as before."""
_lock = threading.Lock()
_users = 0
_originals: list[tuple[Any, str, Any]] = []


class _Isolation:
    """What the replaced functions ask: the loop's time from ``start`` on, and random bytes of the seed."""

    def __init__(self, loop: VirtualLoop, dice: random.Random, wall: Callable[[], float]) -> None:
        self.loop = loop
        self.dice = dice
        self.wall = wall


@contextmanager
def isolated(loop: VirtualLoop, dice: random.Random, wall: Callable[[], float]) -> Iterator[None]:
    """Let this thread live in the simulation: ``time``, ``random``, ``os.urandom`` and ids follow loop and seed.

    Sockets and child processes are refused with :class:`Unsupported`, worker threads run on the spot. Files are real.
    """
    state, last, outer = random.getstate(), restart_ids(), _inside()
    random.seed(dice.getrandbits(64))
    _local.inside = _Isolation(loop, dice, wall)
    _install()
    try:
        yield
    finally:
        _uninstall()
        _local.inside = outer
        restart_ids(last)
        random.setstate(state)


@contextmanager
def artifacts_folder() -> Iterator[str]:
    """A folder for the files of one simulation, empty at first and gone at the end.

    Simulations of one thread that follow one another have the same, so that a result may name it.
    """
    home = getattr(_local, "home", None)
    if home is None:
        home = _local.home = tempfile.mkdtemp(prefix="agentflow-simulation-")
        atexit.register(shutil.rmtree, home, ignore_errors=True)
    folder = os.path.join(home, "artifacts")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refuse_inside_a_loop() -> None:
    """Raise ``RuntimeError`` where this thread has an event loop at work: it could not turn while a simulation does."""
    try:
        anyio.get_current_task()
    except RuntimeError:
        return
    raise RuntimeError("A simulation blocks its thread, and an event loop is at work in it. Give it another thread.")


def _inside() -> _Isolation | None:
    found: _Isolation | None = getattr(_local, "inside", None)
    return found


def _install() -> None:
    global _users  # noqa: PLW0603 -- how many simulations run in this process
    with _lock:
        _users += 1
        if _users > 1:
            return
        for owner, name, make in _REPLACED:
            original = getattr(owner, name)
            _originals.append((owner, name, original))
            setattr(owner, name, make(original))


def _uninstall() -> None:
    global _users  # noqa: PLW0603 -- as above
    with _lock:
        _users -= 1
        if not _users:
            for owner, name, original in _originals:
                setattr(owner, name, original)
            _originals.clear()


def _replaced(answer: Callable[..., Any]) -> Callable[[Any], Any]:
    """What makes a function that answers by itself inside a simulation, and as before elsewhere."""

    def make(original: Any) -> Any:
        def function(*args: Any, **options: Any) -> Any:
            here = _inside()
            return original(*args, **options) if here is None else answer(here, *args, **options)

        return function

    return make


def _refused(what: str) -> Callable[[Any], Any]:
    def answer(here: _Isolation, *args: object, **options: object) -> Any:
        raise here.loop.refusal(what)

    return _replaced(answer)


def _worker(original: Any) -> Any:
    """``anyio.to_thread.run_sync`` that needs no thread inside a simulation."""

    async def run_sync(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if _inside() is None:
            return await original(function, *args, **options)
        await anyio.lowlevel.checkpoint()
        context = copy_context()
        sniffio = sys.modules.get("sniffio")
        if sniffio is not None:  # a worker thread belongs to no event loop
            context.run(sniffio.current_async_library_cvar.set, None)
        result = context.run(on_the_spot, function, *args)
        await anyio.lowlevel.cancel_shielded_checkpoint()
        return result

    return run_sync


_REPLACED: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = (
    (time, "time", _replaced(lambda here: here.wall())),
    (time, "time_ns", _replaced(lambda here: int(here.wall() * 1_000_000) * 1_000)),
    (time, "monotonic", _replaced(lambda here: here.loop.time())),
    (time, "monotonic_ns", _replaced(lambda here: int(here.loop.time() * _NS))),
    (time, "perf_counter", _replaced(lambda here: here.loop.time())),
    (time, "perf_counter_ns", _replaced(lambda here: int(here.loop.time() * _NS))),
    (time, "sleep", _replaced(lambda here, seconds: here.loop.advance(seconds))),
    (os, "urandom", _replaced(lambda here, size: here.dice.randbytes(size))),
    (random, "_urandom", _replaced(lambda here, size: here.dice.randbytes(size))),
    (socket.socket, "connect", _refused("socket.connect")),
    (socket.socket, "connect_ex", _refused("socket.connect")),
    (socket.socket, "bind", _refused("socket.bind")),
    (socket, "getaddrinfo", _refused("socket.getaddrinfo")),
    (subprocess.Popen, "__init__", _refused("subprocess")),
    (os, "system", _refused("os.system")),
    (anyio.to_thread, "run_sync", _worker),
)
"""Owner, name and what is made of the original."""
