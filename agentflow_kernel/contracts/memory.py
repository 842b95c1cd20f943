"""A memory: JSON values under keys in namespaces, with an optional time to live and versions."""

from __future__ import annotations

from typing import Protocol

from agentflow_kernel.contracts.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.values import JSON


class Entry(Value):
    """One live entry.

    ``version`` starts at 1 and grows by one with each write; ``expires_at`` is wall time or ``None``.
    """

    __slots__ = ("key", "value", "version", "written_at", "expires_at")

    def __init__(self, key: str, value: JSON, version: int, written_at: float, expires_at: float | None = None) -> None:
        self.key = key
        self.value = value
        self.version = version
        self.written_at = written_at
        self.expires_at = expires_at


class Memory(Protocol):
    """A key-value store. Every method may be called concurrently, also from several processes where it is shared.

    Keys and namespaces are non-empty strings of at most 512 characters. An expired entry is as good as absent:
    it is gone exactly at ``expires_at``. Values are JSON; anything else raises :class:`NotSerialisable`.
    """

    async def get(self, namespace: str, key: str) -> Entry | None:
        """The live entry, or ``None``."""
        ...

    async def put(
        self,
        namespace: str,
        key: str,
        value: JSON,
        *,
        ttl_s: float | None = None,
        write_key: str | None = None,
        expected_version: int | None = None,
    ) -> Entry | None:
        """Write, and return the live entry that was there *before*, or ``None``.

        ``ttl_s`` > 0 bounds the life of the entry. With ``write_key`` the write is idempotent: the first one with
        that key takes effect, a repeated one changes nothing and returns what the first one returned.
        ``expected_version`` (0: absent) makes it compare-and-set; a mismatch raises :class:`MemoryConflict`.
        """
        ...

    async def delete(self, namespace: str, key: str) -> bool:
        """Remove; ``True`` when a live entry was there."""
        ...

    async def list(self, namespace: str, prefix: str = "", *, limit: int = 1000) -> Sequence[Entry]:
        """Live entries whose key starts with ``prefix``, in order of their keys (code points), at most ``limit``."""
        ...

    async def aclose(self) -> None:
        """Release files and threads; may be called twice; later calls raise :class:`StorageUnavailable`."""
        ...
