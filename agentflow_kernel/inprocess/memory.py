"""The in-process memory: keys and values in a dictionary, with time to live, versions and idempotent writes."""

from __future__ import annotations

import json

from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.memory import Entry
from agentflow_kernel.errors import MemoryConflict, NotSerialisable, StorageUnavailable, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.values import JSON

MAX_NAME = 512


class InProcessMemory:
    """One dictionary per namespace; expired entries go when they are met."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._spaces: dict[str, dict[str, Entry]] = {}
        self._writes: dict[tuple[str, str, str], Entry | None] = {}
        self._closed = False

    async def get(self, namespace: str, key: str) -> Entry | None:
        """The entry, a copy."""
        return self._live(namespace, key)

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
        """Write at once; what repeated writes return is kept as long as the memory itself."""
        before = self._live(namespace, key)
        if ttl_s is not None and not 0 < ttl_s < float("inf"):
            raise UsageError(f"Memory key {key!r}: ttl_s must be a finite number of seconds above 0, not {ttl_s!r}.")
        if write_key is not None and (write_key, namespace, key) in self._writes:
            first = self._writes[write_key, namespace, key]
            return None if first is None else _copy(first)
        version = before.version if before is not None else 0
        if expected_version is not None and expected_version != version:
            raise MemoryConflict(key, expected_version, version)
        now = self._clock.now()
        entry = Entry(key, _json_copy(key, value), version + 1, now, None if ttl_s is None else now + ttl_s)
        self._spaces.setdefault(namespace, {})[key] = entry
        if write_key is not None:
            self._writes[write_key, namespace, key] = None if before is None else _copy(before)
        return before

    async def delete(self, namespace: str, key: str) -> bool:
        """Remove at once."""
        if self._live(namespace, key) is None:
            return False
        del self._spaces[namespace][key]
        return True

    async def list(self, namespace: str, prefix: str = "", *, limit: int = 1000) -> Sequence[Entry]:
        """Copies of the entries; every key of the namespace is looked at."""
        self._check(namespace, "any")
        names = sorted(name for name in self._spaces.get(namespace, {}) if name.startswith(prefix))
        entries = (self._live(namespace, name) for name in names)
        return [entry for entry in entries if entry is not None][:limit]

    async def aclose(self) -> None:
        """Refuse further calls."""
        self._closed = True

    def _live(self, namespace: str, key: str) -> Entry | None:
        self._check(namespace, key)
        entry = self._spaces.get(namespace, {}).get(key)
        if entry is not None and entry.expires_at is not None and entry.expires_at <= self._clock.now():
            del self._spaces[namespace][key]
            return None
        return None if entry is None else _copy(entry)

    def _check(self, namespace: str, key: str) -> None:
        if self._closed:
            raise StorageUnavailable("The in-process memory is closed.", executed="no")
        for what, name in (("namespace", namespace), ("key", key)):
            if not name or len(name) > MAX_NAME:
                raise UsageError(f"A memory {what} has 1 to {MAX_NAME} characters; this one has {len(name)}.")


def _copy(entry: Entry) -> Entry:
    """The entry for the caller to keep: what it does with the value does not change the memory."""
    if isinstance(entry.value, dict | list):
        value: JSON = json.loads(json.dumps(entry.value))
        return Entry(entry.key, value, entry.version, entry.written_at, entry.expires_at)
    return entry


def _json_copy(key: str, value: JSON) -> JSON:
    """The value as JSON gives it back; refuses what JSON would change."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        copy: JSON = json.loads(text.encode())  # a lone surrogate has no bytes
        same = copy == value
    except (TypeError, ValueError, RecursionError) as error:
        raise NotSerialisable(f"memory key {key}", "", str(error)) from error
    if not same:
        raise NotSerialisable(f"memory key {key}", "", "changed by JSON, such as a tuple or a key that is no string")
    return copy
