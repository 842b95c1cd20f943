"""Memories that are faulty in one way each."""

from __future__ import annotations

import os

import anyio
from anyio.lowlevel import checkpoint
from faulty import mutants_in

from agentflow_kernel.contracts.memory import Entry
from agentflow_kernel.errors import MemoryConflict, StorageUnavailable
from agentflow_kernel.testing import InProcessMemory
from agentflow_kernel.testing.inprocess_harness import InProcessMemoryHarness

mutant = mutants_in(globals(), InProcessMemoryHarness)


@mutant("MEMORY-01")
class Sorting(InProcessMemory):
    async def put(self, namespace, key, value, **options):
        value = dict(sorted(value.items())) if isinstance(value, dict) else value
        return await super().put(namespace, key, value, **options)


@mutant("MEMORY-13")
class Truncating(InProcessMemory):
    async def put(self, namespace, key, value, **options):
        value = value[:1_000_000] if isinstance(value, str) else value
        return await super().put(namespace, key, value, **options)


@mutant("MEMORY-02")
class ReturningNew(InProcessMemory):
    async def put(self, namespace, key, value, **options):
        before = await super().put(namespace, key, value, **options)
        return before and await self.get(namespace, key)


@mutant("MEMORY-03")
class CountingFromZero(InProcessMemory):
    async def get(self, namespace, key):
        entry = await super().get(namespace, key)
        return entry and Entry(key, entry.value, entry.version - 1, entry.written_at, entry.expires_at)


@mutant("MEMORY-04")
class Agreeing(InProcessMemory):
    async def delete(self, namespace, key):
        await super().delete(namespace, key)
        return True


@mutant("MEMORY-05")
class Folding(InProcessMemory):
    async def get(self, namespace, key):
        return await super().get(namespace.casefold(), key)

    async def put(self, namespace, key, value, **options):
        return await super().put(namespace.casefold(), key, value, **options)


@mutant("MEMORY-06")
class OffByOne(InProcessMemory):
    def _check(self, namespace, key):
        super()._check(namespace[:512] or "x", key[:512])


@mutant("MEMORY-07")
class Lenient(InProcessMemory):
    async def put(self, namespace, key, value, **options):
        value = list(value) if isinstance(value, tuple) else value
        return await super().put(namespace, key, value, **options)


@mutant("MEMORY-08")
class Sharing(InProcessMemory):
    async def get(self, namespace, key):
        await super().get(namespace, key)
        return self._spaces.get(namespace, {}).get(key)


@mutant("MEMORY-10")
class ZeroIsAnything(InProcessMemory):
    async def put(self, namespace, key, value, **options):
        options["expected_version"] = options.get("expected_version") or None
        return await super().put(namespace, key, value, **options)


@mutant("MEMORY-11")
class Repeating(InProcessMemory):
    async def put(self, namespace, key, value, *, write_key=None, **options):
        return await super().put(namespace, key, value, **options)


@mutant("MEMORY-12")
class OneKeyForAll(InProcessMemory):
    async def put(self, namespace, key, value, *, write_key=None, **options):
        used = self.__dict__.setdefault("used", {})
        if write_key in used:
            return used[write_key]
        before = await super().put(namespace, key, value, **options)
        if write_key is not None:
            used[write_key] = before
        return before


@mutant("MEMORY-20")
class Collating(InProcessMemory):
    async def list(self, namespace, prefix="", *, limit=1000):
        return sorted(await super().list(namespace, prefix, limit=limit), key=lambda entry: entry.key.casefold())


@mutant("MEMORY-21")
class Wildcards(InProcessMemory):
    async def list(self, namespace, prefix="", *, limit=1000):
        return await super().list(namespace, prefix.rstrip("%"), limit=limit)


@mutant("MEMORY-22")
class LimitFirst(InProcessMemory):
    async def list(self, namespace, prefix="", *, limit=1000):
        found = await super().list(namespace, limit=limit)
        return [entry for entry in found if entry.key.startswith(prefix)]


@mutant("MEMORY-30")
class LateByOne(InProcessMemory):
    def _live(self, namespace, key):
        self._check(namespace, key)
        entry = self._spaces.get(namespace, {}).get(key)
        if entry is not None and entry.expires_at == self._clock.now():
            return entry
        return super()._live(namespace, key)


@mutant("MEMORY-30")
class Milliseconds(InProcessMemory):
    async def put(self, namespace, key, value, *, ttl_s=None, **options):
        return await super().put(namespace, key, value, ttl_s=ttl_s and ttl_s * 1000, **options)


@mutant("MEMORY-31")
class FirstTimeStays(InProcessMemory):
    async def put(self, namespace, key, value, **options):
        before = await super().put(namespace, key, value, **options)
        if before is not None and before.expires_at is not None:
            self._spaces[namespace][key].expires_at = before.expires_at
        return before


@mutant("MEMORY-32")
class Endless(InProcessMemory):
    async def put(self, namespace, key, value, *, ttl_s=None, **options):
        return await super().put(namespace, key, value, ttl_s=ttl_s or None, **options)


@mutant("MEMORY-40")
class Dropping(InProcessMemory):
    async def put(self, namespace, key, value, **options):
        space = self._spaces.get(namespace, {}).copy()
        await checkpoint()
        self._spaces[namespace] = space
        return await super().put(namespace, key, value, **options)


@mutant("MEMORY-41")
class Racing(InProcessMemory):
    async def put(self, namespace, key, value, *, expected_version=None, **options):
        entry = await self.get(namespace, key)
        if expected_version is not None and (entry.version if entry else 0) != expected_version:
            raise MemoryConflict(key, expected_version, entry.version if entry else 0)
        await checkpoint()
        return await super().put(namespace, key, value, **options)


@mutant("MEMORY-42")
class WriteKeyLate(InProcessMemory):
    async def put(self, namespace, key, value, *, write_key=None, **options):
        used = self.__dict__.setdefault("used", {})
        if write_key in used:
            return used[write_key]
        await checkpoint()
        before = await super().put(namespace, key, value, **options)
        if write_key is not None:
            used[write_key] = before
        return before


@mutant("MEMORY-50")
class Stuck(InProcessMemory):
    def __init__(self, **options):
        super().__init__(**options)
        self.lock = anyio.Semaphore(1)

    async def put(self, namespace, key, value, **options):
        await self.lock.acquire()
        await checkpoint()
        before = await super().put(namespace, key, value, **options)
        self.lock.release()
        return before


@mutant("MEMORY-50")
class Torn(InProcessMemory):
    async def put(self, namespace, key, value, **options):
        if isinstance(value, dict):
            await super().put(namespace, key, {"whole": []})
            await checkpoint()
            self._spaces[namespace].pop(key, None)
        return await super().put(namespace, key, value, **options)


@mutant("MEMORY-60")
class ClosedOnce(InProcessMemory):
    async def aclose(self):
        if self._closed:
            raise StorageUnavailable("closed", executed="no")
        self._closed = True


@mutant("MEMORY-61")
class Immortal(InProcessMemory):
    async def aclose(self):
        pass


@mutant("MEMORY-62")
class Breaking(InProcessMemory):
    async def put(self, namespace, key, value, **options):
        await checkpoint()
        if self._closed:
            raise ValueError("I/O operation on closed file")
        return await super().put(namespace, key, value, **options)


@mutant("MEMORY-63")
class Leaking(InProcessMemory):
    async def get(self, namespace, key):
        os.dup(0)
        return await super().get(namespace, key)


@mutant("MEMORY-99")
class PrunedByPrefix(InProcessMemory):
    async def put(self, namespace, key, value, **options):
        for entry in await self.list(namespace, f"{key}a"):
            await self.delete(namespace, entry.key)
        return await super().put(namespace, key, value, **options)
