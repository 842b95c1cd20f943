"""The in-process memory: exact times to live, versions, idempotent writes, values that nobody changes from outside."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agentflow_kernel.contracts.memory import Entry
from agentflow_kernel.errors import MemoryConflict, NotSerialisable, StorageUnavailable, UsageError
from agentflow_kernel.inprocess.memory import InProcessMemory
from agentflow_kernel.testing import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def memory(clock: FakeClock) -> InProcessMemory:
    return InProcessMemory(clock=clock)


async def test_what_is_put_is_there_with_version_and_time(memory: InProcessMemory, clock: FakeClock) -> None:
    """The first version is one; put returns what was there before."""
    assert await memory.put("space", "key", {"n": 1}) is None
    entry = await memory.get("space", "key")
    assert entry == Entry("key", {"n": 1}, 1, clock.now(), None)
    clock.jump(5)
    assert await memory.put("space", "key", 2) == entry
    assert await memory.get("space", "key") == Entry("key", 2, 2, clock.now(), None)


async def test_namespaces_are_apart(memory: InProcessMemory) -> None:
    """The same key in another one is another entry."""
    await memory.put("one", "key", 1)
    assert await memory.get("other", "key") is None
    assert await memory.list("other") == []


@pytest.mark.parametrize(("passed", "there"), [(9.999, True), (10.0, False), (11.0, False)])
async def test_an_entry_is_gone_exactly_at_the_end_of_its_time(
    memory: InProcessMemory, clock: FakeClock, passed: float, there: bool
) -> None:
    """For reading, listing, deleting, and as what was there before."""
    await memory.put("space", "key", 1, ttl_s=10)
    clock.jump(passed)
    assert (await memory.get("space", "key") is not None) is there
    assert len(await memory.list("space")) == there
    assert (await memory.put("space", "key", 2) is not None) is there


async def test_an_expired_entry_begins_again_at_version_one(memory: InProcessMemory, clock: FakeClock) -> None:
    """It is as good as absent."""
    await memory.put("space", "key", 1, ttl_s=10)
    clock.jump(10)
    assert await memory.delete("space", "key") is False
    await memory.put("space", "key", 2, expected_version=0)
    entry = await memory.get("space", "key")
    assert entry is not None
    assert (entry.value, entry.version, entry.expires_at) == (2, 1, None)


async def test_a_later_write_without_a_time_to_live_stays(memory: InProcessMemory, clock: FakeClock) -> None:
    """Each write says how long it lives."""
    await memory.put("space", "key", 1, ttl_s=10)
    await memory.put("space", "key", 2)
    clock.jump(1000)
    assert await memory.get("space", "key") is not None


@pytest.mark.parametrize("ttl_s", [0, -1, float("nan"), float("inf")])
async def test_a_time_to_live_is_above_zero(memory: InProcessMemory, ttl_s: float) -> None:
    """An entry that is never there is a mistake, and one that is there for ever says so with none."""
    with pytest.raises(UsageError, match=rf"Memory key 'key': ttl_s must be a finite .* above 0, not {ttl_s}"):
        await memory.put("space", "key", 1, ttl_s=ttl_s)


async def test_a_write_with_a_key_takes_effect_once(memory: InProcessMemory) -> None:
    """A repetition changes nothing and returns what the first one returned."""
    await memory.put("space", "key", "old")
    first = await memory.put("space", "key", "new", write_key="w1")
    assert first is not None
    assert first.value == "old"
    await memory.put("space", "key", "newer", write_key="w2")
    assert await memory.put("space", "key", "new", write_key="w1") == first
    entry = await memory.get("space", "key")
    assert entry is not None
    assert (entry.value, entry.version) == ("newer", 3)


async def test_a_repeated_first_write_is_not_seen_as_something_from_before(memory: InProcessMemory) -> None:
    """It was absent then, so it is absent now, also after the entry has gone."""
    assert await memory.put("space", "key", 1, write_key="w") is None
    assert await memory.put("space", "key", 1, write_key="w") is None
    await memory.delete("space", "key")
    assert await memory.put("space", "key", 1, write_key="w") is None
    assert await memory.get("space", "key") is None


async def test_a_write_key_belongs_to_its_entry(memory: InProcessMemory) -> None:
    """Another key or namespace is another write."""
    for space, key in (("one", "a"), ("one", "b"), ("other", "a")):
        assert await memory.put(space, key, 1, write_key="w") is None
    assert [entry.key for entry in await memory.list("one")] == ["a", "b"]


@pytest.mark.parametrize(("expected", "found"), [(0, 1), (2, 1), (7, 1)])
async def test_a_write_that_expects_another_version_is_refused(
    memory: InProcessMemory, expected: int, found: int
) -> None:
    """Compare and set; nothing is written."""
    await memory.put("space", "key", 1)
    with pytest.raises(MemoryConflict, match=f"has version {found}, not {expected}") as caught:
        await memory.put("space", "key", 2, expected_version=expected)
    assert (caught.value.expected, caught.value.found, caught.value.executed) == (expected, found, "no")
    entry = await memory.get("space", "key")
    assert entry is not None
    assert entry.value == 1
    await memory.put("space", "key", 2, expected_version=1)


async def test_what_callers_do_with_a_value_does_not_change_the_memory(memory: InProcessMemory) -> None:
    """Neither what they put nor what they got is what is kept."""
    value: dict[str, Any] = {"list": [1]}
    await memory.put("space", "key", value)
    value["list"].append(2)
    for read in (
        await memory.get("space", "key"),
        (await memory.list("space"))[0],
        await memory.put("space", "key", {"list": [9]}, write_key="w"),
        await memory.put("space", "key", {"list": [9]}, write_key="w"),
    ):
        assert read is not None
        assert read.value == {"list": [1]}
        read.value["list"].append(3)  # type: ignore[call-overload,index,union-attr]  # what a careless caller does


async def test_lists_are_in_the_order_of_code_points_and_bounded(memory: InProcessMemory) -> None:
    """By prefix; expired entries do not count."""
    for key in ("b", "a/2", "a/1", "é", "Z", "a"):
        await memory.put("space", key, 1, ttl_s=None if key != "a/1" else 0.001)
    assert [entry.key for entry in await memory.list("space")] == ["Z", "a", "a/1", "a/2", "b", "é"]
    assert [entry.key for entry in await memory.list("space", "a/")] == ["a/1", "a/2"]
    assert [entry.key for entry in await memory.list("space", limit=2)] == ["Z", "a"]


async def test_expired_entries_do_not_use_up_the_limit(memory: InProcessMemory, clock: FakeClock) -> None:
    """The limit counts live entries."""
    for number in range(5):
        await memory.put("space", f"dead{number}", 1, ttl_s=1)
        await memory.put("space", f"live{number}", 1)
    clock.jump(1)
    assert len(await memory.list("space", limit=5)) == 5


@pytest.mark.parametrize("value", [(1, 2), {1: 2}, float("nan"), {1, 2}, b"x", object(), ["\ud800"]])
async def test_a_value_that_is_no_json_is_refused(memory: InProcessMemory, value: Any) -> None:
    """Also what JSON would only change."""
    with pytest.raises(NotSerialisable, match="memory key key"):
        await memory.put("space", "key", value)
    assert await memory.get("space", "key") is None


@pytest.mark.parametrize(("space", "key"), [("", "key"), ("space", ""), ("x" * 513, "key"), ("space", "x" * 513)])
async def test_names_have_one_to_512_characters(memory: InProcessMemory, space: str, key: str) -> None:
    """For every call that takes them."""
    for call in (memory.get(space, key), memory.put(space, key, 1), memory.delete(space, key)):
        with pytest.raises(UsageError, match="has 1 to 512 characters"):
            await call


async def test_a_closed_memory_refuses_every_call(memory: InProcessMemory) -> None:
    """Closing twice does no harm."""
    await memory.aclose()
    await memory.aclose()
    calls = (memory.get("s", "k"), memory.put("s", "k", 1), memory.delete("s", "k"), memory.list("s"))
    for call in calls:
        with pytest.raises(StorageUnavailable, match="The in-process memory is closed"):
            await call


KEYS, VALUES = st.sampled_from(["a", "b", "ab"]), st.one_of(st.integers(0, 3), st.lists(st.integers(0, 3), max_size=2))


class MemoryAgainstModel(RuleBasedStateMachine):
    """Any calls in any order, against a dictionary with the rules written out."""

    @initialize()
    def begin(self) -> None:
        self.clock = FakeClock()
        self.memory = InProcessMemory(clock=self.clock)
        self.model: dict[str, tuple[Any, int, float | None]] = {}
        self.writes: dict[tuple[str, str], Any] = {}

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        return anyio.run(lambda: getattr(self.memory, method)("space", *args, **options))

    def live(self, key: str) -> Any:
        found = self.model.get(key)
        if found is not None and found[2] is not None and found[2] <= self.clock.now():
            return None
        return found

    @rule(key=KEYS, value=VALUES, ttl_s=st.sampled_from([None, 5, 10]), write_key=st.sampled_from([None, "v", "w"]))
    def put(self, key: str, value: Any, ttl_s: float | None, write_key: str | None) -> None:
        before = self.live(key)
        found = self.call("put", key, value, ttl_s=ttl_s, write_key=write_key)
        if write_key is not None and (write_key, key) in self.writes:
            before = self.writes[write_key, key]
        else:
            version = before[1] + 1 if before else 1
            self.model[key] = (value, version, None if ttl_s is None else self.clock.now() + ttl_s)
            if write_key is not None:
                self.writes[write_key, key] = before
        assert (None if found is None else (found.value, found.version, found.expires_at)) == before

    @rule(key=KEYS, value=VALUES, expected=st.integers(0, 3))
    def put_expecting(self, key: str, value: Any, expected: int) -> None:
        before = self.live(key)
        version = before[1] if before else 0
        if version == expected:
            self.call("put", key, value, expected_version=expected)
            self.model[key] = (value, version + 1, None)
        else:
            with pytest.raises(MemoryConflict, match="has version"):
                self.call("put", key, value, expected_version=expected)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        assert self.call("delete", key) is (self.live(key) is not None)
        self.model.pop(key, None)

    @rule(seconds=st.sampled_from([1, 4.999, 5]))
    def wait(self, seconds: float) -> None:
        self.clock.jump(seconds)

    @precondition(lambda self: hasattr(self, "model"))
    @invariant()
    def holds_what_the_model_holds(self) -> None:
        found = {entry.key: (entry.value, entry.version, entry.expires_at) for entry in self.call("list")}
        assert found == {key: self.live(key) for key in self.model if self.live(key) is not None}


MemoryAgainstModel.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestMemoryAgainstModel = MemoryAgainstModel.TestCase
