"""A harness of one kind: the members that a suite needs beside those of every harness."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from agentflow_kernel.testing.harness import Harness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from agentflow_kernel.contracts.memory import Memory
    from agentflow_kernel.contracts.planner import Action, Task
    from agentflow_kernel.contracts.source import Source
    from agentflow_kernel.contracts.tool import Toolset
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.testing.clock import FakeClock

    Arguments = Mapping[str, JSON]


class ToolHarness(Harness, Protocol):
    """What the suite of tools needs: calls that it may make."""

    examples: ClassVar[Mapping[str, Arguments]]
    """Arguments for each tool with which it works, any number of times, also at the same time."""


class FailingToolHarness(Protocol):
    """Optional ability of a tool's harness, declared as ``fails``."""

    failing: ClassVar[Sequence[tuple[str, Arguments, type[Exception]]]]
    """Calls whose arguments fit and that go wrong, each with the error that it raises."""


class SlowToolHarness(Protocol):
    """Optional ability of a tool's harness, declared as ``slow``."""

    slow: ClassVar[tuple[str, Arguments]]
    """A call that takes longer than 30 seconds unless it is cancelled."""


class CountingToolHarness(Protocol):
    """Optional ability of a tool's harness, declared as ``counts``: it has tools whose effect is ``idempotent``."""

    def count_effects(self, toolset: Toolset, name: str) -> int:
        """How often the tool took effect, seen from outside. Blocks."""
        ...


class ClockHarness(Protocol):
    """Optional ability, declared as ``clock``: the subjects live by a clock that the suite moves."""

    clock: FakeClock
    """The clock of the latest subject."""


class MemoryStoreHarness(Protocol):
    """Optional ability of a memory's harness, with ``durable``: find the same store again."""

    def attach(self, memory: Memory) -> AbstractAsyncContextManager[Memory]:
        """Another memory on the store of this one, which may be closed meanwhile; closed at the end."""
        ...


class PlannerHarness(Harness, Protocol):
    """What the suite of planners needs: a task, and how its actions end."""

    task: ClassVar[Task]
    """The task of every run."""
    input: ClassVar[JSON]
    """What the task is started with."""

    def answers(self, action: Action, number: int) -> JSON:
        """What an action gives, the one that ends as ``number`` of its run (from 0); the run comes to a good end."""
        ...


class VersionedPlannerHarness(Protocol):
    """Optional ability of a planner's harness, declared as ``versions``."""

    def make_newer(self, document: JSON) -> JSON:
        """A stored state as a newer version of the planner would have written it."""
        ...


class SourceHarness(Harness, Protocol):
    """What the suite of sources needs: how many events there are, and another source on the same input."""

    items: ClassVar[int]
    """So many events a source of ``open`` gives without further ado, at least 1; a finite one ends after them."""

    def again(self, source: Source) -> AbstractAsyncContextManager[Source]:
        """Another source of the same settings, state and input as this one, which is not read meanwhile."""
        ...


class ContentSourceHarness(Protocol):
    """Optional ability of a source's harness, declared as ``content``."""

    def open_on(self, content: bytes) -> AbstractAsyncContextManager[Source]:
        """A source whose input holds these bytes; it ends by itself."""
        ...


class FailingSourceHarness(Protocol):
    """Optional ability of a source's harness, declared as ``fails``."""

    failing: ClassVar[Mapping[str, type[Exception]]]
    """Inputs that cannot be read, by any name, each with the error that reading it raises."""

    def open_failing(self, name: str) -> AbstractAsyncContextManager[Source]:
        """A source on such an input."""
        ...


class SlowSourceHarness(Protocol):
    """Optional ability of a source's harness, declared as ``slow``."""

    def open_slow(self) -> AbstractAsyncContextManager[Source]:
        """A source whose first event takes longer than 30 seconds, because it waits or has much to read."""
        ...


class FeedingSourceHarness(SlowSourceHarness, Protocol):
    """Optional ability of a source's harness, declared as ``feeds``, beside ``slow``."""

    async def feed(self, source: Source) -> None:
        """Bring what makes one event of a source of ``open_slow``, in pieces where it has some."""
        ...
