"""The memory behaves as a dictionary with times would, whatever is called in whatever order."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agentflow_kernel.contracts.memory import Entry
from agentflow_kernel.errors import MemoryConflict
from agentflow_sqlite.memory import SqliteMemory

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = st.sampled_from(["a", "ab", "b", "a%", "é", "\U0001f40e", "\uffff"])
NAMESPACES = st.sampled_from(["n", "m"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aé🐎\x00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=5,
)


class Model:
    """What the contract says, without a file."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.entries: dict[tuple[str, str], Entry] = {}
        self.writes: dict[tuple[str, str, str], Entry | None] = {}

    def get(self, place: tuple[str, str]) -> Entry | None:
        entry = self.entries.get(place)
        return None if entry is None or (entry.expires_at is not None and entry.expires_at <= self.now) else entry

    def put(self, place: tuple[str, str], value: Any, options: dict[str, Any]) -> Entry | None:
        write_key, expected, ttl_s = options.get("write_key"), options.get("expected_version"), options.get("ttl_s")
        if write_key is not None and (write_key, *place) in self.writes:
            return self.writes[write_key, *place]
        before = self.get(place)
        version = before.version if before else 0
        if expected is not None and expected != version:
            raise MemoryConflict(place[1], expected, version)
        self.entries[place] = Entry(place[1], value, version + 1, self.now, ttl_s and self.now + ttl_s)
        if write_key is not None:
            self.writes[write_key, *place] = before
        return before

    def delete(self, place: tuple[str, str]) -> bool:
        live = self.get(place) is not None
        self.entries.pop(place, None)
        return live

    def list(self, namespace: str, prefix: str) -> list[Entry]:
        places = sorted(place for place in self.entries if place[0] == namespace and place[1].startswith(prefix))
        return [entry for entry in map(self.get, places) if entry is not None]


class MemoryMachine(RuleBasedStateMachine):
    """Two memories on one file, against one model."""

    backend = "asyncio"

    def __init__(self) -> None:
        super().__init__()
        self.resources = contextlib.ExitStack()
        self.portal = self.resources.enter_context(start_blocking_portal(self.backend))
        folder = tempfile.mkdtemp()
        self.resources.callback(shutil.rmtree, folder)
        self.path = str(Path(folder, "memory.db"))
        self.model = Model()
        self.memories = [self.open(), self.open()]

    def open(self) -> SqliteMemory:
        machine = self

        class Clock:
            def now(self) -> float:
                return machine.model.now

        return SqliteMemory(self.path, clock=Clock())  # type: ignore[arg-type]

    def call(self, which: int, method: str, *arguments: Any, **options: Any) -> Any:
        async def run() -> Any:
            return await getattr(self.memories[which], method)(*arguments, **options)

        return self.portal.call(run)

    def outcome(self, put: Callable[[], Entry | None]) -> Entry | tuple[int, int] | None:
        """What a put returned, or the versions it was refused with."""
        try:
            return put()
        except MemoryConflict as conflict:
            return conflict.expected, conflict.found

    @initialize(which=st.integers(0, 1))
    def warm(self, which: int) -> None:
        assert self.call(which, "get", "n", "a") is None

    @rule(
        which=st.integers(0, 1), place=st.tuples(NAMESPACES, KEYS), value=JSON,
        ttl_s=st.none() | st.sampled_from([0.5, 1.0, 2.0, 100.0]), write_key=st.none() | st.sampled_from(["w", "x"]),
        expected_version=st.none() | st.integers(0, 3),
    )  # fmt: skip
    def put(self, which: int, place: tuple[str, str], value: Any, **options: Any) -> None:
        assert self.outcome(lambda: self.call(which, "put", *place, value, **options)) == self.outcome(
            lambda: self.model.put(place, value, options)
        )

    @rule(which=st.integers(0, 1), place=st.tuples(NAMESPACES, KEYS))
    def get(self, which: int, place: tuple[str, str]) -> None:
        assert self.call(which, "get", *place) == self.model.get(place)

    @rule(which=st.integers(0, 1), place=st.tuples(NAMESPACES, KEYS))
    def delete(self, which: int, place: tuple[str, str]) -> None:
        assert self.call(which, "delete", *place) is self.model.delete(place)

    @rule(
        which=st.integers(0, 1), namespace=NAMESPACES, prefix=st.sampled_from(["", "a", "a%", "\uffff", "z"]),
        limit=st.integers(0, 8),
    )  # fmt: skip
    def list(self, which: int, namespace: str, prefix: str, limit: int) -> None:
        expected = self.model.list(namespace, prefix)[:limit]
        assert self.call(which, "list", namespace, prefix, limit=limit) == expected

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 50.0]))
    def wait(self, seconds: float) -> None:
        self.model.now += seconds

    @rule(which=st.integers(0, 1))
    def open_again(self, which: int) -> None:
        self.call(which, "aclose")
        self.memories[which] = self.open()

    @invariant()
    def nothing_else_is_there(self) -> None:
        for namespace in ("n", "m"):
            assert self.call(0, "list", namespace) == self.model.list(namespace, "")

    def teardown(self) -> None:
        for which in (0, 1):
            self.call(which, "aclose")
        self.resources.close()


class TrioMachine(MemoryMachine):
    """The same on the other event loop."""

    backend = "trio"


LIMITS = settings(max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TestMemory = MemoryMachine.TestCase
TestMemory.settings = LIMITS
TestMemoryOnTrio = TrioMachine.TestCase
TestMemoryOnTrio.settings = LIMITS
