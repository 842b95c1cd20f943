"""A cursor store: how far one trigger has come, on disk, and the lock that lets one process at a time go on from it."""

from __future__ import annotations

import os

from agentflow_kernel.errors import NewerSchema, ProtocolViolation, StorageUnavailable, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import FileIO
    from types import TracebackType
    from typing import Self

    from agentflow_kernel.contracts.values import JSON

_OURS: dict[str, object] = {}
"""Locks of this process: the system would not refuse them to us, and closing a second descriptor would free them."""

_SCHEMA = 1


class CursorStore:
    """The cursor of one trigger in one state folder, owned within its ``with`` block. All methods block.

    The lock is ``lockf`` on ``<state>/triggers/<name>.lock``: it ends with the process however that ends. Entering
    raises :class:`UsageError` when another process, or this one, has it; errors of the disk are
    :class:`StorageUnavailable`, not executed.
    """

    def __init__(self, state_folder: str, trigger: str) -> None:
        self._trigger = trigger
        self._folder = os.path.join(os.path.realpath(state_folder), "triggers")
        self._path = os.path.join(self._folder, f"{trigger}.json")
        self._lock_path = os.path.join(self._folder, f"{trigger}.lock")
        self._lock: FileIO | None = None

    def __enter__(self) -> Self:
        import fcntl  # lazy: not on every platform

        if _OURS.setdefault(self._lock_path, self) is not self:
            raise self._refused(str(os.getpid()))
        try:
            os.makedirs(self._folder, exist_ok=True)
            self._lock = open(self._lock_path, "a+b", buffering=0)
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._lock.truncate(0)
            self._lock.write(str(os.getpid()).encode())
        except BlockingIOError as error:
            owner = self._owner()
            self._release()
            raise self._refused(owner) from error
        except OSError as error:
            self._release()
            raise self._unusable(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()
        _OURS.pop(self._lock_path, None)

    def _owner(self) -> str:
        """The process that has the lock, as it wrote it down."""
        try:
            with open(self._lock_path, encoding="ascii", errors="replace") as file:
                return file.read(32)
        except OSError:
            return ""

    def load(self) -> JSON:
        """The cursor that was saved last, ``None`` before the first one.

        Raises :class:`ProtocolViolation` for a file that is damaged, :class:`NewerSchema` for one of a newer version.
        """
        import json  # lazy: 10 ms

        try:
            with open(self._path, "rb") as file:
                text = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error) from error
        try:
            document = json.loads(text)
            schema, cursor = document["schema"], document["cursor"]
        except (ValueError, KeyError, TypeError) as error:
            raise ProtocolViolation(
                f"The cursor of trigger {self._trigger!r} in {self._path!r} is damaged. Restore the file, or remove it "
                "to begin anew.",
                executed="no",
            ) from error
        if schema != _SCHEMA:
            raise NewerSchema(f"The cursor of trigger {self._trigger!r}", schema, _SCHEMA)
        return cursor  # type: ignore[no-any-return]  # JSON by definition

    def save(self, cursor: JSON) -> None:
        """Put a cursor in the place of the last one; it is durable when this returns, or the last one still is."""
        import json  # lazy: 10 ms

        document = {"schema": _SCHEMA, "trigger": self._trigger, "cursor": cursor}
        part = f"{self._path}.part"
        try:
            with open(part, "wb", buffering=0) as file:
                rest = memoryview(json.dumps(document).encode())
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            os.rename(part, self._path)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._unusable(error) from error

    def _refused(self, owner: str) -> UsageError:
        return UsageError(
            f"Trigger {self._trigger!r} is being read by process {owner or '(unknown)'} with this state folder. "
            "Stop that one, or give another state folder (--state, AGENTFLOW_STATE)."
        )

    def _unusable(self, error: OSError) -> StorageUnavailable:
        return StorageUnavailable(
            f"The cursor of trigger {self._trigger!r} cannot be kept in {self._folder!r}: {error.strerror or error}. "
            "Make room there or name a folder that can be written (--state, AGENTFLOW_STATE).",
            executed="no",
        )
