"""Ownership: which process works on which runs, told by a lock that the system frees when the process ends."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO

_OURS: set[str] = set()
"""Lock files of this process: asking for our own lock would free it."""


class Owner:
    """This process as an owner of runs in one state folder, from :meth:`acquire` to :meth:`release`.

    The lock is ``lockf`` on a file of its own: it ends with the process however that ends, and a child left behind
    does not keep it.
    """

    def __init__(self, state_folder: str) -> None:
        self._folder = os.path.join(state_folder, "owners")
        self._file: FileIO | None = None
        self.name = ""

    def acquire(self) -> str:
        """Take a lock under a new name and return the name, which runs carry as their owner."""
        import fcntl  # lazy: not on every platform
        import secrets

        os.makedirs(self._folder, exist_ok=True)
        self._remove_leftovers()
        while True:
            self.name = f"{os.getpid()}-{secrets.token_hex(6)}"
            path = os.path.join(self._folder, self.name)
            _OURS.add(path)  # before it is there: another thread of this process would take it for a leftover
            try:
                file = open(path, "xb", buffering=0)  # noqa: SIM115 -- held until release
                fcntl.lockf(file, fcntl.LOCK_EX)  # who looks whether we are alive holds it for a moment
            except BaseException:
                _OURS.discard(path)
                raise
            if os.path.exists(path):
                break
            _OURS.discard(path)
            file.close()  # another process took it for a leftover before it was locked
        self._file = file
        return self.name

    def release(self) -> None:
        """Give the lock back and remove the file; may be called twice."""
        if self._file is None:
            return
        path = os.path.join(self._folder, self.name)
        _OURS.discard(path)
        _unlink(path)
        self._file.close()
        self._file = None

    def _remove_leftovers(self) -> None:
        """Remove the files of processes that are gone."""
        for name in os.listdir(self._folder):
            _is_locked(os.path.join(self._folder, name), _unlink)


def is_alive(state_folder: str, owner: str) -> bool:
    """Whether the process that runs under this name still works; an unknown name does not."""
    if not owner or os.sep in owner:
        return False
    return _is_locked(os.path.join(state_folder, "owners", owner))


def _is_locked(path: str, otherwise: Callable[[str], None] | None = None) -> bool:
    """Whether somebody holds the lock; if not, ``otherwise`` is called while it is held here, so nobody gets it."""
    if path in _OURS:
        return True
    import fcntl  # lazy: not on every platform

    try:
        with open(path, "r+b", buffering=0) as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if otherwise is not None:
                otherwise(path)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _unlink(path: str) -> None:
    """Remove a file; that it is gone already is no error."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
