"""A state folder as what owners and senders share: leases by locks and an inbox of files, for one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from agentflow_kernel.errors import StorageUnavailable
from agentflow_kernel.run.inbox import Letterbox, find_requests, leave, remove
from agentflow_kernel.run.ownership import Owner, is_alive

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentflow_kernel.contracts.journal import Request


class FolderLeases:
    """An owner that is alive as long as its process holds a lock in the folder."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._owner = Owner(state)

    async def acquire(self) -> str:
        """Take the lock; raises :class:`StorageUnavailable` where the folder cannot be written."""
        try:
            return await anyio.to_thread.run_sync(self._owner.acquire)
        except OSError as error:
            raise StorageUnavailable(
                f"The state folder {self._state!r} cannot be used: {error.strerror}. "
                "Name one that can be written (--state, AGENTFLOW_STATE).",
                executed="no",
            ) from error

    async def release(self) -> None:
        """Give the lock back."""
        await anyio.to_thread.run_sync(self._owner.release)

    async def alive(self, owners: Collection[str]) -> Collection[str]:
        """Those whose locks are held."""
        state = self._state
        return await anyio.to_thread.run_sync(lambda: {owner for owner in owners if is_alive(state, owner)})


class FolderInbox:
    """Requests as files; a look costs one ``stat`` where nothing has changed."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._box = Letterbox(state)

    async def leave(self, run_id: str, request: Request) -> None:
        """Write one file."""
        await anyio.to_thread.run_sync(leave, self._state, run_id, request)

    async def find(self, run_id: str) -> Sequence[Request]:
        """Read the files of a run."""
        return await anyio.to_thread.run_sync(find_requests, self._state, run_id)

    async def remove(self, run_id: str, request: Request) -> None:
        """Remove a file."""
        await anyio.to_thread.run_sync(remove, request)

    async def changed(self) -> Collection[str]:
        """Runs with files, where the folder has changed."""
        return await anyio.to_thread.run_sync(self._box.changed)

    def forget(self) -> None:
        """Look at all files the next time."""
        self._box.forget()

    async def woken(self) -> None:
        """Never: files do not call."""
        await anyio.sleep_forever()
