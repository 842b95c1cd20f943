"""Lists and times: which entries are listed, in which order, and when they are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.errors import MemoryConflict, UsageError
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.memory.abilities import clock_of

if TYPE_CHECKING:
    from agentflow_kernel.contracts.memory import Memory
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio

KEYS = ("b", "a", "B", "aa", "a%", "a_b", "axb", "Z", "é", "z", "\uffff", "🐎", "10", "9")


@requirement(
    "MEMORY-20",
    "MUST",
    reason="A list that is cut by its limit is the same list everywhere only if the order is.",
    advice="Order by code points, not by a collation, nor by UTF-16 units.",
)
async def test_lists_are_in_the_order_of_code_points(memory: Memory) -> None:
    """Lists the entries of one namespace in the order of the code points of their keys, with values and versions."""
    for key in KEYS:
        await memory.put("n", key, f"value of {key}")
        await memory.put("other", key, 0)
    found = await memory.list("n")
    assert [entry.key for entry in found] == sorted(KEYS)
    assert [entry.value for entry in found] == [f"value of {key}" for key in sorted(KEYS)]
    assert {entry.version for entry in found} == {1}


@requirement(
    "MEMORY-21",
    "MUST",
    reason="A prefix comes from a name that a user chose; a character of it must not stand for others.",
    advice="Compare the beginning of the key; escape what the store takes for a pattern.",
)
async def test_a_prefix_is_taken_as_it_is(memory: Memory) -> None:
    """Lists with a prefix the keys that begin with exactly that text, also with wildcards in it."""
    for key in KEYS:
        await memory.put("n", key, 0)
    for prefix in ("a", "a%", "a_", "%", "_", "A", "é", "e", "🐎", "\uffff", "zz", "*", "1"):
        assert [entry.key for entry in await memory.list("n", prefix)] == sorted(
            k for k in KEYS if k.startswith(prefix)
        )


@requirement(
    "MEMORY-22",
    "MUST",
    reason="A limit keeps an answer small, and must not hide what would have fitted.",
    advice="Count live entries that fit only; 1,000 by default.",
)
async def test_a_limit_counts_what_is_listed(memory: Memory) -> None:
    """Lists at most `limit` entries, the first of the order, and 1,000 by default."""
    for number in range(1_005):
        await memory.put("n", f"{number:04}", number)
    assert [entry.value for entry in await memory.list("n")] == list(range(1_000))
    assert [entry.value for entry in await memory.list("n", limit=3)] == [0, 1, 2]
    assert [entry.value for entry in await memory.list("n", "100", limit=2)] == [1_000, 1_001]
    assert len(await memory.list("n", limit=2_000)) == 1_005


@requirement(
    "MEMORY-30",
    "MUST",
    needs="clock",
    reason="Locks, caches and sessions are entries that expire; they must be gone when they say so, and not before.",
    advice="An entry is live while now < expires_at, in seconds of the wall clock of the context.",
)
async def test_an_entry_is_gone_exactly_at_its_time(memory: Memory, harness: Harness) -> None:
    """Keeps an entry until its time and not at it: for `get`, `list`, `delete`, a further write and its version."""
    clock = clock_of(harness)
    for key in ("k", "deleted", "written", "compared"):
        await memory.put("n", key, "short", ttl_s=60)
    await memory.put("n", "kept", "long")
    entry = await memory.get("n", "k")
    assert entry is not None
    assert entry.expires_at == clock.now() + 60
    assert entry.written_at == clock.now()
    await clock.advance(59.5)
    assert len(await memory.list("n")) == 5
    await clock.advance(0.5)
    assert await memory.get("n", "k") is None
    assert [found.key for found in await memory.list("n")] == ["kept"]
    assert [found.key for found in await memory.list("n", limit=1)] == ["kept"]
    assert await memory.delete("n", "deleted") is False
    assert await memory.put("n", "written", "new") is None
    fresh = await memory.get("n", "written")
    assert fresh is not None
    assert (fresh.value, fresh.version, fresh.expires_at) == ("new", 1, None)
    with pytest.raises(MemoryConflict):
        await memory.put("n", "compared", "new", expected_version=1)
    await memory.put("n", "compared", "new", expected_version=0)


@requirement(
    "MEMORY-31",
    "MUST",
    needs="clock",
    reason="A write says how long its own value lives; the time of the value before must not end it.",
    advice="Set the end anew with each write, also to none.",
)
async def test_each_write_sets_its_own_time(memory: Memory, harness: Harness) -> None:
    """Gives each write its own time to live, counted from that write, or none."""
    clock = clock_of(harness)
    await memory.put("n", "longer", 1, ttl_s=10)
    await memory.put("n", "endless", 1, ttl_s=10)
    await clock.advance(9)
    await memory.put("n", "longer", 2, ttl_s=10)
    await memory.put("n", "endless", 2)
    await clock.advance(9)
    assert [entry.key for entry in await memory.list("n")] == ["endless", "longer"]
    await clock.advance(1)
    assert [entry.key for entry in await memory.list("n")] == ["endless"]
    await clock.advance(10_000_000)
    assert [entry.key for entry in await memory.list("n")] == ["endless"]


@requirement(
    "MEMORY-32",
    "MUST",
    reason="A time to live that is none is a mistake of the caller, not an entry that is gone or stays for ever.",
    advice="Refuse 0 and less with UsageError before the first change.",
)
async def test_a_time_that_is_none_is_refused(memory: Memory) -> None:
    """Refuses a time to live of 0 or less with `UsageError` and writes nothing; a fraction of a second is one."""
    for ttl_s in (0, -1, -0.001, float("nan"), float("inf")):
        with pytest.raises(UsageError):
            await memory.put("n", "k", 1, ttl_s=ttl_s)
    assert await memory.get("n", "k") is None
    await memory.put("n", "k", 1, ttl_s=86_400.25)
    entry = await memory.get("n", "k")
    assert entry is not None
    assert entry.expires_at is not None
    assert entry.expires_at - entry.written_at == pytest.approx(86_400.25, abs=0.001)
