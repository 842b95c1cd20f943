"""The memory: what is live, compare-and-set, writes that must not happen twice, order, and what it refuses."""

from __future__ import annotations

import os

import anyio
import pytest

from agentflow_kernel.contracts.memory import Entry
from agentflow_kernel.errors import MemoryConflict, NotSerialisable, StorageUnavailable, UsageError
from agentflow_sqlite.memory import SqliteMemory

pytestmark = pytest.mark.anyio


def exists(path: str) -> bool:
    """Whether the store, or even its folder, has been made."""
    return os.path.exists(os.path.dirname(path))


VALUES = [None, True, 0, -1, 2**70, 1.5, -0.0, "", "a\u0000b", "🐎", [], [1, [2]], {}, {"a": {"b": [None]}}, {"": ""}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
async def test_value_comes_back_as_it_was(memory: SqliteMemory, value) -> None:
    """Every JSON value survives with its type."""
    await memory.put("n", "k", value)
    entry = await memory.get("n", "k")
    assert entry == Entry("k", value, 1, 1_000.0, None)
    assert repr(entry.value) == repr(value)


async def test_put_returns_what_was_there_before(memory: SqliteMemory, clock) -> None:
    """The first write returns nothing, each later one the entry that it replaces; versions count writes."""
    assert await memory.put("n", "k", "a", ttl_s=60) is None
    clock.time += 1
    assert await memory.put("n", "k", "b") == Entry("k", "a", 1, 1_000.0, 1_060.0)
    clock.time += 1
    assert await memory.put("n", "k", "c") == Entry("k", "b", 2, 1_001.0, None)
    assert await memory.get("n", "k") == Entry("k", "c", 3, 1_002.0, None)


async def test_delete_tells_whether_something_was_there(memory: SqliteMemory) -> None:
    """A deleted entry is absent, and a new one under its key begins at version 1."""
    assert await memory.delete("n", "k") is False
    await memory.put("n", "k", 1)
    await memory.put("n", "k", 2)
    assert await memory.delete("n", "k") is True
    assert await memory.delete("n", "k") is False
    assert await memory.get("n", "k") is None
    assert await memory.put("n", "k", 3, expected_version=0) is None
    assert (await memory.get("n", "k")).version == 1


async def test_namespaces_are_apart(memory: SqliteMemory) -> None:
    """The same key in another namespace is another entry."""
    await memory.put("a", "k", 1)
    await memory.put("b", "k", 2)
    assert await memory.delete("a", "k") is True
    assert (await memory.get("b", "k")).value == 2
    assert await memory.list("a") == []


async def test_an_entry_is_gone_exactly_at_its_end(memory: SqliteMemory, clock) -> None:
    """Live until just before `expires_at`, absent at it, for every method; its successor begins anew."""
    await memory.put("n", "k", "old", ttl_s=10)
    clock.time = 1_009.999
    assert (await memory.get("n", "k")).expires_at == 1_010.0
    assert len(await memory.list("n")) == 1
    clock.time = 1_010.0
    assert await memory.get("n", "k") is None
    assert await memory.list("n") == []
    assert await memory.delete("n", "k") is False
    await memory.put("n", "k", "old", ttl_s=10)
    clock.time = 1_020.0
    with pytest.raises(MemoryConflict):
        await memory.put("n", "k", "new", expected_version=1)
    assert await memory.put("n", "k", "new", expected_version=0) is None
    assert await memory.get("n", "k") == Entry("k", "new", 1, 1_020.0, None)


async def test_a_write_ends_the_time_to_live_of_the_one_before(memory: SqliteMemory, clock) -> None:
    """Each write says anew how long it lives."""
    await memory.put("n", "k", 1, ttl_s=1)
    await memory.put("n", "k", 2)
    clock.time += 5
    assert (await memory.get("n", "k")).value == 2


async def test_compare_and_set_writes_only_over_the_expected_version(memory: SqliteMemory) -> None:
    """Any other version raises with what was found, and nothing is written."""
    await memory.put("n", "k", 1, expected_version=0)
    for expected in (0, 2, -1):
        with pytest.raises(MemoryConflict) as refused:
            await memory.put("n", "k", 9, expected_version=expected)
        assert (refused.value.key, refused.value.expected, refused.value.found) == ("k", expected, 1)
    await memory.put("n", "k", 2, expected_version=1)
    with pytest.raises(MemoryConflict):
        await memory.put("n", "other", 9, expected_version=1)
    assert [entry.value for entry in await memory.list("n")] == [2]


async def test_one_of_many_writers_wins_a_version(memory: SqliteMemory) -> None:
    """A counter that a hundred tasks raise by compare-and-set loses nothing."""
    await memory.put("n", "count", 0)

    async def add() -> None:
        while True:
            entry = await memory.get("n", "count")
            try:
                await memory.put("n", "count", entry.value + 1, expected_version=entry.version)
            except MemoryConflict:
                continue
            return

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(add)
    assert (await memory.get("n", "count")).value == 20


async def test_a_repeated_write_key_changes_nothing_and_returns_the_first_answer(memory: SqliteMemory, clock) -> None:
    """Also when the entry has been changed, deleted or has expired since, and whatever version is expected."""
    await memory.put("n", "k", "a", ttl_s=5)
    first = await memory.put("n", "k", "b", write_key="w", ttl_s=50)
    assert first == Entry("k", "a", 1, 1_000.0, 1_005.0)
    await memory.put("n", "k", "c")
    clock.time += 7
    assert await memory.put("n", "k", "d", write_key="w") == first
    assert await memory.put("n", "k", "d", write_key="w", expected_version=77) == first
    assert (await memory.get("n", "k")).value == "c"
    await memory.delete("n", "k")
    assert await memory.put("n", "k", "d", write_key="w") == first
    assert await memory.get("n", "k") is None


async def test_a_repeated_write_key_that_returned_nothing_returns_nothing(memory: SqliteMemory) -> None:
    """The answer of a first write is no entry, and stays so."""
    assert await memory.put("n", "k", "a", write_key="w") is None
    assert await memory.put("n", "k", "b", write_key="w") is None
    assert (await memory.get("n", "k")).value == "a"


async def test_a_write_key_counts_for_one_key_of_one_namespace(memory: SqliteMemory) -> None:
    """One step may write several entries under one key."""
    for namespace, key in (("n", "a"), ("n", "b"), ("m", "a")):
        assert await memory.put(namespace, key, 1, write_key="w") is None
    assert len(await memory.list("n")) == 2
    assert len(await memory.list("m")) == 1


async def test_a_refused_write_does_not_use_up_its_write_key(memory: SqliteMemory) -> None:
    """What was not written may be tried again with the same key."""
    await memory.put("n", "k", "a")
    with pytest.raises(MemoryConflict):
        await memory.put("n", "k", "b", write_key="w", expected_version=0)
    assert (await memory.put("n", "k", "b", write_key="w", expected_version=1)).value == "a"


async def test_a_write_key_is_forgotten_after_the_time_set(path: str, clock) -> None:
    """It is remembered until just before, and a new write at the end of that time."""
    memory = SqliteMemory(path, clock=clock, write_keys_kept_s=100)
    await memory.put("n", "k", "a", write_key="w")
    clock.time += 99.5
    await memory.put("n", "k", "b", write_key="w")
    assert (await memory.get("n", "k")).value == "a"
    clock.time += 0.5
    assert (await memory.put("n", "k", "c", write_key="w")).value == "a"
    assert (await memory.put("n", "k", "d", write_key="w")).value == "a"
    assert (await memory.get("n", "k")).value == "c"
    await memory.aclose()


async def test_list_is_in_the_order_of_code_points(memory: SqliteMemory) -> None:
    """Not of UTF-16 units, not of a locale, and a key that is the prefix comes first."""
    keys = [
        "b",
        "a",
        "A",
        "ab",
        "a%",
        "a_",
        "a\U0001f40e",
        "a\uffee",
        "á",
        "aa",
        "a\u0000",
        "\U0010ffff",
        "\U0010ffff!",
    ]
    for key in keys:
        await memory.put("n", key, key)
    assert [entry.key for entry in await memory.list("n")] == sorted(keys)
    for prefix in ("a", "a%", "a_", "", "\U0010ffff", "zz", "ab"):
        expected = sorted(key for key in keys if key.startswith(prefix))
        assert [entry.key for entry in await memory.list("n", prefix)] == expected
    assert [entry.key for entry in await memory.list("n", "a", limit=2)] == ["a", "a\u0000"]
    assert await memory.list("n", limit=0) == []


async def test_list_leaves_out_what_has_expired_before_it_counts(memory: SqliteMemory, clock) -> None:
    """The limit is one of live entries."""
    for number in range(6):
        await memory.put("n", f"k{number}", number, ttl_s=1 if number % 2 == 0 else None)
    clock.time += 2
    assert [entry.value for entry in await memory.list("n", limit=2)] == [1, 3]


async def test_what_has_expired_is_removed_in_the_course_of_writing(memory: SqliteMemory, clock) -> None:
    """The file does not grow with entries that nobody can see, nor with old write keys."""
    for number in range(100):
        await memory.put("n", f"k{number}", number, ttl_s=1, write_key=f"w{number}")
    clock.time += 31 * 86_400
    for number in range(200):
        await memory.put("n", "one", number)

    count = "SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM writes)"
    assert await memory._database.read(lambda connection: connection.execute(count).fetchone(), None) == (1, 0)


BAD_VALUES = [
    (float("nan"), "", "the number nan"),
    ({"a": [1, float("-inf")]}, ".a[1]", "the number -inf"),
    ((1, 2), "", "a tuple"),
    ({"a": (1,)}, ".a", "a tuple"),
    ({1: 2}, "", "an object with the key 1"),
    ([{None: 2}], "[0]", "an object with the key None"),
    ({"a": {"b": b"x"}}, ".a.b", "a bytes"),
    ({"s": {1}}, ".s", "a set"),
    ("\ud800", "", "a text with half of a surrogate pair"),
    (10**5000, "", "Exceeds the limit"),
]


@pytest.mark.parametrize(("value", "place", "found"), BAD_VALUES, ids=[found for _, _, found in BAD_VALUES])
async def test_a_value_that_is_no_json_is_refused_with_its_place(memory: SqliteMemory, value, place, found) -> None:
    """Nothing is converted silently, and nothing is written."""
    with pytest.raises(NotSerialisable) as refused:
        await memory.put("n", "k", value)
    assert refused.value.path == place
    assert refused.value.found.startswith(found)
    assert await memory.get("n", "k") is None


async def test_a_value_without_end_is_refused(memory: SqliteMemory) -> None:
    """A list that holds itself, or one nested too deep to be read back."""
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(NotSerialisable, match="nested"):
        await memory.put("n", "k", loop)
    deep: object = 1
    for _ in range(150):
        deep = [deep]
    await memory.put("n", "k", deep)
    assert (await memory.get("n", "k")).value == deep


@pytest.mark.parametrize("name", ["", "x" * 513, "\ud800"])
async def test_names_have_1_to_512_characters(memory: SqliteMemory, name: str) -> None:
    """Of text that can be written; anything else is a wrong argument of every method."""
    calls = [
        lambda: memory.get(name, "k"), lambda: memory.get("n", name), lambda: memory.put(name, "k", 1),
        lambda: memory.put("n", name, 1), lambda: memory.delete(name, "k"), lambda: memory.delete("n", name),
        lambda: memory.list(name),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(UsageError, match=r"characters|surrogate"):
            await call()
    await memory.put("🐎" * 512, "k" * 512, 1)
    with pytest.raises(UsageError, match="int"):
        await memory.get("n", 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("ttl_s", [0, -1, float("nan"), float("inf")])
async def test_a_time_to_live_is_above_zero(memory: SqliteMemory, ttl_s: float) -> None:
    """An entry that is gone when it is written, or never, is a wrong argument."""
    with pytest.raises(UsageError, match="ttl_s"):
        await memory.put("n", "k", 1, ttl_s=ttl_s)


async def test_a_value_is_a_copy(memory: SqliteMemory) -> None:
    """Neither what was put nor what was got is tied to the entry."""
    value = {"a": [1]}
    await memory.put("n", "k", value)
    value["a"].append(2)
    (await memory.get("n", "k")).value["a"].append(3)
    assert (await memory.get("n", "k")).value == {"a": [1]}


async def test_reading_before_anything_was_written_creates_nothing(memory: SqliteMemory, path: str) -> None:
    """An empty memory needs no file."""
    assert await memory.get("n", "k") is None
    assert await memory.list("n") == []
    assert not exists(path)


async def test_two_memories_of_one_file_see_each_other(memory: SqliteMemory, path: str, clock) -> None:
    """What one has written the other one reads, replaces and deletes; a write key counts for both."""
    other = SqliteMemory(path, clock=clock)
    await memory.put("n", "k", 1, write_key="w")
    assert (await other.put("n", "k", 2, expected_version=1)).value == 1
    assert await other.put("n", "k", 3, write_key="w") is None
    assert (await memory.get("n", "k")).version == 2
    assert await memory.delete("n", "k")
    assert await other.get("n", "k") is None
    await other.aclose()


async def test_a_hundred_writes_share_few_transactions(memory: SqliteMemory) -> None:
    """Writes that come together wait for the disk together."""
    await memory.put("n", "first", 0)
    before = memory._database.transactions.commits
    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(memory.put, "n", f"k{number}", number)
    assert memory._database.transactions.commits - before <= 4
    assert len(await memory.list("n")) == 101


async def test_entries_outlive_their_process(path: str, clock) -> None:
    """A write is durable when it returns: whoever opens the file later finds it."""
    memory = SqliteMemory(path, clock=clock)
    await memory.put("n", "k", "v", ttl_s=5, write_key="w")
    await memory.aclose()
    again = SqliteMemory(path, clock=clock)
    assert await again.get("n", "k") == Entry("k", "v", 1, 1_000.0, 1_005.0)
    assert await again.put("n", "k", "x", write_key="w") is None
    await again.aclose()


async def test_aclose_may_be_called_twice_and_ends_everything(path: str, clock, open_files) -> None:
    """After the end every call is refused and no file is open."""
    memory = SqliteMemory(path, clock=clock)
    await memory.put("n", "k", 1)
    await memory.get("n", "k")
    await memory.aclose()
    await memory.aclose()
    assert open_files(os.path.dirname(path)) == []
    for call in (memory.get("n", "k"), memory.put("n", "k", 1), memory.delete("n", "k"), memory.list("n")):
        with pytest.raises(StorageUnavailable, match="closed"):
            await call
