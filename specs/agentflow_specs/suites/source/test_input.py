"""The input: none, much, hostile, late, and such as cannot be read."""

from __future__ import annotations

import contextlib
import tracemalloc
from typing import TYPE_CHECKING, cast

import anyio
import pytest

from agentflow_kernel.errors import AgentFlowError
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.source.abilities import content_of, failing_of, feeding_of, slow_of, sources_of
from agentflow_specs.suites.source.reading import PATIENCE_S, check, count_all, reading, take

if TYPE_CHECKING:
    from agentflow_kernel.contracts.source import Source
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio

HOSTILE = (
    b"\n", b"\r\n", b"\r", b"\n" * 10_000, b"\x00", b"a\x00b\n", b"no line feed", b"\xff\xfe\xfd\n", b"caf\xe9\n",
    "é 🐎 \u202e\u2028\u0085 ﷽\n".encode(), "\ufeffwith a mark\n".encode(), "Zeile\n".encode("utf-16"),
    b"\xed\xa0\x80\n", b"\xf0\x9f\n", b"\x1b[2J\x1b]0;x\x07\n", b'{"a": NaN}\n', b"[" * 5_000 + b"\n",
    b"$(id); `id`; '; DROP TABLE x; -- %s%n{0}\n", b"../../etc/passwd\n", b"x" * 1_000_000 + b"\n", b"\x7fELF\x02\x01",
)  # fmt: skip
LINE = b"x" * 4095 + b"\n"
HUGE_LINES = 12_288
"""48 MiB."""
MEMORY_BYTES = 32 * 1_048_576
LATE = 5


@requirement(
    "SOURCE-20",
    "MUST",
    needs="content",
    reason="A log that was just rotated is empty; that is no failure.",
    advice="Give no event, or one that tells of nothing, and end.",
)
async def test_empty_input_is_no_failure(harness: Harness) -> None:
    """Ends on empty input, with few events or none, and without an error."""
    async with content_of(harness).open_on(b"") as source:
        assert await count_all(source) <= 1


@requirement(
    "SOURCE-21",
    "MUST",
    needs="content",
    reason="What comes in was written by anybody, and by broken programs; it must not stop the process that reads it.",
    advice="Decode with an answer for every byte; raise InputInvalid, with the place, for what cannot be taken.",
)
async def test_hostile_input_does_no_harm(harness: Harness) -> None:
    """Tells of each hostile input in whole events, or refuses it with a typed error, and then reads others."""
    for content in HOSTILE:
        async with content_of(harness).open_on(content) as source:
            message = ""
            try:
                await count_all(source)
            except AgentFlowError as refused:
                message = str(refused)
                message.encode()  # it goes into logs
            assert message.isprintable(), f"the message about {content[:20]!r} acts on a terminal"
    async with harness.open() as subject:
        assert len(await take(cast("Source", subject), sources_of(harness).items)) == sources_of(harness).items


@requirement(
    "SOURCE-22",
    "MUST",
    needs="content",
    reason="Logs are larger than memory; a process that reads one must not die of it.",
    advice="Read piece by piece, give what was read before reading on, or refuse what is too large.",
)
async def test_huge_input_takes_little_memory(harness: Harness) -> None:
    """Reads 48 MiB, or refuses them with a typed error, in less than 32 MiB of memory."""
    async with content_of(harness).open_on(LINE * HUGE_LINES) as source:
        tracemalloc.start(1)
        try:
            with contextlib.suppress(AgentFlowError):
                assert await count_all(source) >= 1
        finally:
            _, peak_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    assert peak_bytes < MEMORY_BYTES


@requirement(
    "SOURCE-23",
    "MUST",
    needs="fails",
    reason="Only typed errors say what to correct, and whether another attempt may help.",
    advice="Turn each error of the system or library into InputInvalid, PathRefused or StorageUnavailable, from it.",
)
async def test_input_that_cannot_be_read_is_the_declared_error(harness: Harness) -> None:
    """Raises for each input that cannot be read the error that the harness names, with a text, every time."""
    failing = failing_of(harness)
    assert failing.failing
    for name, error in failing.failing.items():
        assert issubclass(error, AgentFlowError), name
        async with failing.open_failing(name) as source:
            for _ in range(2):
                with pytest.raises(error) as raised:
                    await take(source, 1)
                assert str(raised.value).strip()


@requirement(
    "SOURCE-24",
    "MUST",
    needs="feeds",
    reason="Most sources wait most of the time; what comes late and in pieces has to come through, once.",
    advice="Keep what is not whole yet until the rest comes; wake up for what comes while you wait.",
)
async def test_what_comes_late_is_given_once(harness: Harness) -> None:
    """Gives each event that comes late and in pieces once, in order, to a reader that is slow itself."""
    feeding, count = feeding_of(harness), 0
    async with feeding.open_slow() as source:

        async def bring() -> None:
            for _ in range(LATE):
                await feeding.feed(source)

        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as group, reading(source) as items:
                group.start_soon(bring)
                names = []
                async for item in items:
                    check(item)
                    names.append(item.event.id)
                    await anyio.sleep(0.02)
                    if len(names) == LATE:
                        break
                with anyio.move_on_after(0.2):
                    await anext(items)
                    count += 1
    assert len(set(names)) == LATE
    assert count == 0, "more was given than has come"


@requirement(
    "SOURCE-25",
    "MUST",
    needs="slow",
    reason="One event loop serves all runs; a source that blocks it stops them all.",
    advice="Do what blocks in a thread (anyio.to_thread), and wait with the clock's sleep.",
)
async def test_a_wait_does_not_hold_up_the_event_loop(harness: Harness) -> None:
    """Leaves the event loop free while it waits or reads."""
    gaps: list[float] = []
    async with slow_of(harness).open_slow() as source:

        async def read() -> None:
            async with reading(source) as items:
                await anext(items)

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            for _ in range(20):
                before = anyio.current_time()
                await anyio.sleep(0.01)
                gaps.append(anyio.current_time() - before)
            group.cancel_scope.cancel()
    assert sorted(gaps)[len(gaps) // 2] < 0.2, "the loop stood still"
    assert max(gaps) < 10.0
