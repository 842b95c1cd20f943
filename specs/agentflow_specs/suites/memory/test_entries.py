"""Entries: what is written is read, versions count, names are taken as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentflow_kernel.errors import MemoryConflict, NotSerialisable, UsageError
from agentflow_specs.requirement import requirement

if TYPE_CHECKING:
    from agentflow_kernel.contracts.memory import Memory

pytestmark = pytest.mark.anyio

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**53, 0.1, -0.5, 1e300, "", "é\u0000🐎\u2028", [], {}, [[]], {"": None},
    {"b": 1, "a": [1, {"c": "d"}], "ß": "ẞ"}, [1, 1.5, "1", None, True], "x" * 100_000,
)  # fmt: skip
NAMES = (
    "a", "A", " a", "a ", "é", "e\u0301", "a/b", "a\\b", "../a", "a%", "a_", "a*", "a?", "[a]", "'; --", "🐎",
    "a\nb", "null", "0", "x" * 512, "é" * 512,
)  # fmt: skip
NO_JSON: tuple[Any, ...] = ({1: 2}, (1, 2), {1, 2}, b"x", float("nan"), float("inf"), object(), ["\ud800"], {"a": (1,)})


@requirement(
    "MEMORY-01",
    "MUST",
    reason="Agents and flows go on from what they remembered; a changed value is a changed decision.",
    advice="Store JSON and give back what it decodes to; order of keys and kinds of numbers stay.",
)
async def test_every_json_value_comes_back(memory: Memory) -> None:
    """Gives back every kind of JSON value as it was written, with its key."""
    for number, value in enumerate(VALUES):
        await memory.put("n", f"k{number}", value)
    for number, value in enumerate(VALUES):
        entry = await memory.get("n", f"k{number}")
        assert entry is not None
        assert entry.key == f"k{number}"
        assert entry.value == value
        assert type(entry.value) is type(value)
        if isinstance(value, dict):
            assert isinstance(entry.value, dict)
            assert list(entry.value) == list(value)


@requirement(
    "MEMORY-02",
    "MUST",
    reason="Who replaces an entry decides by what was there before, in one step.",
    advice="Read and write in one transaction, and give back what was read.",
)
async def test_a_write_returns_what_was_there_before(memory: Memory) -> None:
    """Returns with each write the live entry that was there before it, and `None` where there was none."""
    assert await memory.put("n", "k", "first") is None
    for number in range(1, 12):
        before = await memory.put("n", "k", number)
        assert before is not None
        assert before.value == ("first" if number == 1 else number - 1)
        assert before.version == number


@requirement(
    "MEMORY-03",
    "MUST",
    reason="Compare-and-set counts on versions; one that is reused or left out lets an old value win.",
    advice="The first write has version 1 and each further one the next number; after a delete it begins again at 1.",
)
async def test_versions_count_the_writes(memory: Memory) -> None:
    """Counts versions from 1 by one with each write, of each key alone, and from 1 again after a delete."""
    for number in range(1, 5):
        await memory.put("n", "k", number)
        await memory.put("n", "other", 0)
        entry = await memory.get("n", "k")
        assert entry is not None
        assert entry.version == number
    assert await memory.delete("n", "k")
    await memory.put("n", "k", 0)
    entry = await memory.get("n", "k")
    assert entry is not None
    assert entry.version == 1


@requirement(
    "MEMORY-04",
    "MUST",
    reason="An absent entry is an everyday answer, no error.",
    advice="Give None or False; create nothing on the way.",
)
async def test_what_is_absent_is_none(memory: Memory) -> None:
    """Answers `None` for an absent entry, `False` for its removal, and an empty list for an unknown namespace."""
    assert await memory.get("n", "k") is None
    assert await memory.delete("n", "k") is False
    assert list(await memory.list("n")) == []
    await memory.put("n", "k", 1)
    assert await memory.delete("n", "k") is True
    assert await memory.delete("n", "k") is False
    assert await memory.get("n", "k") is None
    assert list(await memory.list("n")) == []


@requirement(
    "MEMORY-05",
    "MUST",
    reason="Names come from users and models; two of them must never become one, nor act.",
    advice="Compare names byte for byte; pass them as parameters, never as text that something interprets.",
)
async def test_names_are_taken_as_they_are(memory: Memory) -> None:
    """Keeps apart all keys and namespaces whose names differ in case, blanks, form of Unicode or special characters."""
    for number, name in enumerate(NAMES):
        await memory.put("n", name, number)
        await memory.put(name, "k", number)
    for number, name in enumerate(NAMES):
        for entry in (await memory.get("n", name), await memory.get(name, "k")):
            assert entry is not None, name
            assert (entry.value, entry.version) == (number, 1), name
        assert [found.key for found in await memory.list(name)] == ["k"]
    assert sorted(entry.key for entry in await memory.list("n")) == sorted(NAMES)


@requirement(
    "MEMORY-06",
    "MUST",
    reason="A name that is cut or taken for another loses an entry without a word.",
    advice="Check the length in characters, 1 to 512, before anything else, in every method.",
)
async def test_names_that_are_none_are_refused(memory: Memory) -> None:
    """Refuses empty names and those of more than 512 characters with `UsageError`."""
    for namespace, key in (("", "k"), ("n", ""), ("x" * 513, "k"), ("n", "x" * 513)):
        with pytest.raises(UsageError):
            await memory.put(namespace, key, 1)
        with pytest.raises(UsageError):
            await memory.get(namespace, key)
        with pytest.raises(UsageError):
            await memory.delete(namespace, key)
    with pytest.raises(UsageError):
        await memory.list("")


@requirement(
    "MEMORY-07",
    "MUST",
    reason="What JSON cannot hold would come back as something else, or not at all.",
    advice="Encode strictly, compare with what it decodes to, and raise NotSerialisable before the first change.",
)
async def test_what_is_no_json_is_refused(memory: Memory) -> None:
    """Refuses with `NotSerialisable` what JSON cannot hold or would change, and leaves the entry as it was."""
    await memory.put("n", "k", "kept")
    for value in NO_JSON:
        with pytest.raises(NotSerialisable):
            await memory.put("n", "k", value)
        entry = await memory.get("n", "k")
        assert entry is not None
        assert (entry.value, entry.version) == ("kept", 1), value


@requirement(
    "MEMORY-08",
    "MUST",
    reason="Callers change what they hold; the memory must not change with it.",
    advice="Keep bytes, or copy on the way in and on the way out.",
)
async def test_later_changes_do_not_reach_the_memory(memory: Memory) -> None:
    """Is not touched by later changes of what was written, read, listed or given back by a write."""
    value: Any = {"list": [1]}
    await memory.put("n", "k", value)
    value["list"].append(2)
    for _ in range(2):
        read = await memory.get("n", "k")
        (listed,) = await memory.list("n")
        assert read is not None
        for held in (read, listed):
            entry: Any = held
            assert entry.value == {"list": [1]}
            entry.value["list"].append(3)
            entry.version = 99
    before: Any = await memory.put("n", "k", {"list": [1]}, write_key="w")
    assert before.value == {"list": [1]}
    before.value["list"].append(4)
    again: Any = await memory.put("n", "k", 0, write_key="w")
    assert again.value == {"list": [1]}


@requirement(
    "MEMORY-10",
    "MUST",
    reason="Compare-and-set is what keeps two writers from overwriting each other.",
    advice="Compare the version in the transaction that writes; 0 means that there is no live entry.",
)
async def test_an_expected_version_is_compared(memory: Memory) -> None:
    """Writes with an expected version only where it is the entry's, 0 where absent; else raises `MemoryConflict`."""
    with pytest.raises(MemoryConflict):
        await memory.put("n", "k", 1, expected_version=1)
    assert await memory.get("n", "k") is None
    await memory.put("n", "k", "one", expected_version=0)
    await memory.put("n", "k", "two", expected_version=1)
    for wrong in (0, 1, 3):
        with pytest.raises(MemoryConflict) as refused:
            await memory.put("n", "k", "lost", expected_version=wrong)
        assert (refused.value.key, refused.value.expected, refused.value.found) == ("k", wrong, 2)
        assert refused.value.executed == "no"
    entry = await memory.get("n", "k")
    assert entry is not None
    assert (entry.value, entry.version) == ("two", 2)


@requirement(
    "MEMORY-11",
    "MUST",
    reason="A step whose outcome is unknown is executed again with its key; its write must not count twice.",
    advice="Keep what the first write returned under its key, in the transaction of that write.",
)
async def test_a_repeated_write_changes_nothing(memory: Memory) -> None:
    """Changes nothing at a write with a key that was used, and returns what the first one did, whatever came after."""
    await memory.put("n", "k", "zero")
    first = await memory.put("n", "k", "one", write_key="w")
    assert first is not None
    await memory.put("n", "k", "two")
    for expected in (None, 1, 7):
        assert await memory.put("n", "k", "other", write_key="w", expected_version=expected) == first
    entry = await memory.get("n", "k")
    assert entry is not None
    assert (entry.value, entry.version) == ("two", 3)
    assert await memory.put("n", "fresh", 1, write_key="w2") is None
    assert await memory.delete("n", "fresh")
    assert await memory.put("n", "fresh", 2, write_key="w2") is None
    assert await memory.get("n", "fresh") is None


@requirement(
    "MEMORY-12",
    "MUST",
    reason="A refused write did not happen: its key must be free for the attempt that follows.",
    advice="Note the write key only with a write that took effect; note it for its namespace and key.",
)
async def test_a_write_key_belongs_to_one_write(memory: Memory) -> None:
    """Notes no key of a write that was refused, and keeps the keys of each entry apart from those of others."""
    await memory.put("n", "k", 0)
    with pytest.raises(MemoryConflict):
        await memory.put("n", "k", "refused", write_key="w", expected_version=7)
    await memory.put("n", "k", "done", write_key="w", expected_version=1)
    for namespace, key in (("n", "k2"), ("n2", "k")):
        assert await memory.put(namespace, key, "own", write_key="w") is None
        entry = await memory.get(namespace, key)
        assert entry is not None
        assert entry.value == "own"
    entry = await memory.get("n", "k")
    assert entry is not None
    assert entry.value == "done"


@requirement(
    "MEMORY-13",
    "MUST",
    reason="Whole documents are remembered at times.",
    advice="Nothing but the disk limits the size of a value; split it where the store needs that.",
)
async def test_large_values_are_kept(memory: Memory) -> None:
    """Keeps a value of 4 MiB and one of 20,000 members."""
    wide = {f"key {number}": number for number in range(20_000)}
    await memory.put("n", "large", "é" * 2_097_152)
    await memory.put("n", "wide", wide)
    large, found = await memory.get("n", "large"), await memory.get("n", "wide")
    assert large is not None
    assert found is not None
    assert large.value == "é" * 2_097_152
    assert found.value == wide
