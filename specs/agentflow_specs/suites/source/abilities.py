"""An ability: what the suite needs of a harness beside a source, or the error that says it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from agentflow_kernel.errors import Unsupported
from agentflow_specs.members import with_members

if TYPE_CHECKING:
    from agentflow_kernel.contracts.source import Source
    from agentflow_kernel.testing import (
        ContentSourceHarness,
        FailingSourceHarness,
        FeedingSourceHarness,
        Harness,
        SlowSourceHarness,
        SourceHarness,
    )

ABILITIES: Final = {
    "finite": "the source of `open` ends by itself, after its events",
    "resumes": "the source takes a cursor and goes on after it; the harness opens another one on the same input",
    "continues": "the source says `continues = True`: the kernel gives it the last cursor at the next firing",
    "content": "the harness opens a source on any bytes",
    "fails": "the harness opens sources whose input cannot be read, and names their errors",
    "slow": "the harness opens a source whose next event takes longer than 30 seconds",
    "feeds": "the harness brings events to the slow source, one by one",
}
"""What a harness of this kind declares."""


def sources_of(harness: Harness) -> SourceHarness:
    """The harness as one that says how many events there are."""
    return cast("SourceHarness", with_members(harness, "items", "again"))


def content_of(harness: Harness) -> ContentSourceHarness:
    """The harness as one that opens a source on any bytes."""
    return cast("ContentSourceHarness", with_members(harness, "open_on"))


def failing_of(harness: Harness) -> FailingSourceHarness:
    """The harness as one that opens sources whose input cannot be read."""
    return cast("FailingSourceHarness", with_members(harness, "failing", "open_failing"))


def slow_of(harness: Harness) -> SlowSourceHarness:
    """The harness as one that opens a source which waits."""
    return cast("SlowSourceHarness", with_members(harness, "open_slow"))


def feeding_of(harness: Harness) -> FeedingSourceHarness:
    """The harness as one that brings events."""
    return cast("FeedingSourceHarness", with_members(harness, "open_slow", "feed"))


def continuing(source: Source) -> Source:
    """The same source, which says that the kernel is to keep its cursor."""
    if not getattr(source, "continues", False):
        raise Unsupported(f"{type(source).__name__}.continues", "its cursor is not kept between two firings.")
    return source
