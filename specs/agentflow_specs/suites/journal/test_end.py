"""The end: a journal is closed once and for all, finishes what it accepted, and leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio
import pytest

from agentflow_kernel.contracts.journal import Record
from agentflow_kernel.errors import StorageUnavailable
from agentflow_specs.leaks import find_leaks
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.journal.abilities import inline_of
from agentflow_specs.suites.journal.author import Author

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentflow_kernel.contracts.journal import Journal
    from agentflow_kernel.testing import Harness


@requirement(
    "JOURNAL-70",
    "MUST",
    reason="The kernel closes what it made, and so does a careful user.",
    advice="The second call finds nothing to do.",
)
@pytest.mark.anyio
async def test_closing_twice_is_no_error(journal: Journal) -> None:
    """May be closed twice, used or not, and by several tasks at once."""
    await Author("r").append(journal)
    async with anyio.create_task_group() as group:
        group.start_soon(journal.aclose)
        group.start_soon(journal.aclose)
    await journal.aclose()


@requirement(
    "JOURNAL-71",
    "MUST",
    reason="A journal that nobody used is closed like any other.",
    advice="Open lazily, or close what was opened early.",
)
@pytest.mark.anyio
async def test_an_unused_journal_is_closed(journal: Journal) -> None:
    """May be closed without any use."""
    await journal.aclose()
    with pytest.raises(StorageUnavailable):
        await journal.runs()


@requirement(
    "JOURNAL-72",
    "MUST",
    reason="A run that outlives its journal has to learn that its step is not on record.",
    advice="Look whether the journal is closed before anything else, in every method.",
)
@pytest.mark.anyio
async def test_calls_after_the_end_are_refused(journal: Journal) -> None:
    """Refuses every call after the end with `StorageUnavailable` and `executed` "no"."""
    await Author("r").append(journal)
    ref = await journal.put_blob(b"x")
    await journal.aclose()
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: journal.append("r", 1, 1, [Record("r", 1, "decision", "", None, 1)]),
        lambda: journal.read("r"),
        lambda: journal.head("r"),
        journal.runs,
        lambda: journal.put_blob(b"y"),
        lambda: journal.get_blob(ref),
    ]
    for call in calls:
        with pytest.raises(StorageUnavailable) as refused:
            await call()
        assert refused.value.executed == "no"


@requirement(
    "JOURNAL-73",
    "MUST",
    reason="A worker that stops closes its journal while the last steps are under way.",
    advice="Refuse new calls, wait for those accepted, then release; wake everybody who waits.",
)
@pytest.mark.anyio
async def test_closing_while_appends_are_under_way_settles_each(journal: Journal) -> None:
    """Carries out or refuses each append that is under way at the end; none waits for ever, none is half done."""
    outcomes: dict[int, str] = {}

    async def work(number: int) -> None:
        author = Author(f"r{number}")
        try:
            for _ in range(50):
                await author.append(journal, 1, 2)
                outcomes[number] = "appended"
        except StorageUnavailable:
            outcomes[number] = "refused"

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(work, number)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            await journal.aclose()
    assert len(outcomes) == 10


@requirement(
    "JOURNAL-74",
    "MUST",
    reason="A process that opens and closes journals for months must not run out of threads or files.",
    advice="Join what was started and close what was opened before aclose returns.",
)
def test_nothing_is_left_after_the_end(harness: Harness, anyio_backend: str) -> None:
    """Leaves no task, no thread and no open file behind."""

    async def use(subject: object) -> None:
        journal = cast("Journal", subject)
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(Author(f"r{number}").append, journal, 1, 2)
        await journal.read("r1")
        await journal.runs()
        await journal.get_blob(await journal.put_blob(b"data"))

    assert find_leaks(harness, use, anyio_backend) == []


@requirement(
    "JOURNAL-75",
    "MUST",
    reason="A program may run one event loop after the other with the same kernel.",
    advice="Keep what belongs to an event loop with the loop, for example in a RunVar.",
)
def test_one_journal_serves_one_loop_after_the_other(harness: Harness, anyio_backend: str) -> None:
    """Serves threads that each run an event loop of their own, one after the other, where it appends inline."""

    async def use() -> None:
        async with harness.open() as subject:
            journal = cast("Journal", subject)
            author = Author("r")
            await author.append(journal)

            def in_another_loop() -> None:
                anyio.run(author.append, journal, "other loop", backend=anyio_backend)

            await anyio.to_thread.run_sync(in_another_loop)
            await author.append(journal, "first loop")
            assert [record.seq for record in await journal.read("r")] == [0, 1, 2]

    anyio.run(use, backend=anyio_backend)


@requirement(
    "JOURNAL-76",
    "MUST",
    needs="inline",
    reason="Flows that run without an event loop keep the same history.",
    advice="Both ways go through the same comparison and the same writer.",
)
@pytest.mark.anyio
async def test_inline_appends_are_appends(journal: Journal) -> None:
    """Appends on the calling thread as elsewhere: compared, in turns with other appends, refused at the end."""
    inline = inline_of(journal)
    author = Author("r")

    def append(*payloads: int) -> None:
        expected = author.next_seq
        inline.append_inline("r", expected, 1, author.write(*payloads))

    await anyio.to_thread.run_sync(append, 1, 2)
    await author.append(journal, 3)
    await anyio.to_thread.run_sync(append, 4)
    assert [record.seq for record in await journal.read("r")] == [0, 1, 2, 3]
    author.next_seq = 1
    with pytest.raises(Exception, match="append at 1 refused"):
        await anyio.to_thread.run_sync(append, 5)
    await journal.aclose()
    with pytest.raises(StorageUnavailable):
        await anyio.to_thread.run_sync(append, 6)
