"""A reference: the shortest memory there is, and a machine that does the same to it and to a real one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agentflow_kernel.errors import MemoryConflict
from agentflow_specs.suites.memory.abilities import clock_of

if TYPE_CHECKING:
    from agentflow_kernel.testing import Harness

SPACES = st.sampled_from(["n", "n", "n", "N"])
KEYS = st.sampled_from(["a", "aa", "é"])
VALUES = st.none() | st.integers(-3, 3) | st.text("aé🐎", max_size=3) | st.lists(st.booleans(), max_size=2)
Row = tuple[Any, int, "float | None"]


class Reference:
    """What a memory means: value, version and end of each entry, and what each write key returned."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self.returned: dict[tuple[str, str, str], Row | None] = {}
        self.now = 0.0

    def get(self, space: str, key: str) -> Row | None:
        """As the real one."""
        row = self.rows.get((space, key))
        return None if row is None or (row[2] is not None and row[2] <= self.now) else row

    def put(
        self, place: tuple[str, str], value: object, ttl_s: float | None, write_key: str | None, expected: int | None
    ) -> Row | None:
        """As the real one."""
        if write_key is not None and (*place, write_key) in self.returned:
            return self.returned[(*place, write_key)]
        before = self.get(*place)
        version = 0 if before is None else before[1]
        if expected is not None and expected != version:
            raise MemoryConflict(place[1], expected, version)
        self.rows[place] = (value, version + 1, None if ttl_s is None else self.now + ttl_s)
        if write_key is not None:
            self.returned[(*place, write_key)] = before
        return before

    def delete(self, space: str, key: str) -> bool:
        """As the real one."""
        found = self.get(space, key) is not None
        self.rows.pop((space, key), None)
        return found

    def list(self, space: str, prefix: str, limit: int) -> list[tuple[str, Row]]:
        """As the real one."""
        keys = sorted(key for where, key in self.rows if where == space and key.startswith(prefix))
        found = [(key, row) for key in keys if (row := self.get(space, key)) is not None]
        return found[:limit]


class MemoryMachine(RuleBasedStateMachine):
    """Does the same to a memory and to the reference, and compares each answer."""

    def __init__(self, harness: Harness, backend: str) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.portal = self.stack.enter_context(start_blocking_portal(backend))
        self.real: Any = self.stack.enter_context(self.portal.wrap_async_context_manager(harness.open()))
        self.model = Reference()
        self.clock = clock_of(harness) if harness.declared["clock"] else None
        self.start = self.clock.now() if self.clock is not None else 0.0

    def teardown(self) -> None:
        """Close the memory and its event loop."""
        self.stack.close()

    @rule(
        place=st.tuples(SPACES, KEYS),
        value=VALUES,
        ttl_s=st.sampled_from([None, None, 5.0, 10.0]),
        write_key=st.sampled_from([None, None, "w1", "w2"]),
        expected=st.sampled_from([None, None, 0, 1, 2]),
    )
    def put(
        self, place: tuple[str, str], value: Any, ttl_s: float | None, write_key: str | None, expected: int | None
    ) -> None:
        """Write to both."""
        ttl_s = ttl_s if self.clock is not None else None

        async def write() -> object:
            return await self.real.put(*place, value, ttl_s=ttl_s, write_key=write_key, expected_version=expected)

        try:
            wanted = self.model.put(place, value, ttl_s, write_key, expected)
        except MemoryConflict as conflict:
            wanted_conflict = conflict.expected, conflict.found
            with pytest.raises(MemoryConflict) as refused:
                self.portal.call(write)
            assert (refused.value.expected, refused.value.found) == wanted_conflict
        else:
            assert self.row(self.portal.call(write)) == wanted

    @rule(place=st.tuples(SPACES, KEYS), value=VALUES)
    def write(self, place: tuple[str, str], value: Any) -> None:
        """Write to both, whatever is there."""
        self.put(place, value, None, None, None)

    @rule(space=SPACES, key=KEYS)
    def get(self, space: str, key: str) -> None:
        """Read from both."""
        assert self.row(self.portal.call(self.real.get, space, key)) == self.model.get(space, key)

    @rule(space=SPACES, key=KEYS)
    def delete(self, space: str, key: str) -> None:
        """Remove from both."""
        assert self.portal.call(self.real.delete, space, key) == self.model.delete(space, key)

    @rule(space=SPACES, prefix=st.sampled_from(["", "a", "a%", "é"]), limit=st.integers(1, 4))
    def list(self, space: str, prefix: str, limit: int) -> None:
        """List both."""

        async def look() -> Any:
            return await self.real.list(space, prefix, limit=limit)

        found = [(entry.key, self.row(entry)) for entry in self.portal.call(look)]
        assert found == self.model.list(space, prefix, limit)

    @invariant()
    def agree(self) -> None:
        """Both hold the same entries after each step."""
        for space in ("n", "N"):
            found = [(entry.key, self.row(entry)) for entry in self.portal.call(self.real.list, space)]
            assert found == self.model.list(space, "", 1_000)

    @rule(seconds=st.sampled_from([1.0, 4.0, 5.0, 20.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass for both."""
        if self.clock is not None:
            self.portal.call(self.clock.advance, seconds)
            self.model.now += seconds

    def row(self, entry: Any) -> Row | None:
        """An entry as the reference keeps it."""
        if entry is None:
            return None
        return entry.value, entry.version, None if entry.expires_at is None else entry.expires_at - self.start
