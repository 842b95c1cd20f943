"""A clock that only the test moves, and a context that remembers what was emitted."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.contracts.policy import Request
from agentflow_resilience.retry import Retry, RetrySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class FakeClock:
    """Sleeping moves the time and gives nothing else a turn; it counts how often it was asked."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.reads = 0
        self.sleeps: list[float] = []

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        self.reads += 1
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.seconds += max(seconds, 0)


class Script:
    """A call that ends as it is told: an exception is raised, anything else given back; the last one stays."""

    def __init__(self, *outcomes: object, takes_s: float = 0.0, clock: FakeClock | None = None) -> None:
        self.outcomes = list(outcomes)
        self.attempts: list[int] = []
        self.begins: list[float] = []
        self._takes_s = takes_s
        self._clock = clock or FakeClock()

    async def __call__(self, request: Request) -> object:
        self.attempts.append(request.attempt)
        self.begins.append(self._clock.seconds)
        self._clock.seconds += self._takes_s
        outcome = self.outcomes[min(len(self.attempts), len(self.outcomes)) - 1]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class Bench:
    """What the tests of one policy need."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.events: list[tuple[str, dict[str, object]]] = []
        self.random = random.Random(7)
        self.context = PluginContext("policy", clock=self.clock, random=self.random, emit=self._emit)

    def _emit(self, name: str, fields: dict[str, object]) -> None:
        self.events.append((name, fields))

    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def retry(self, **settings: Any) -> Retry:
        return Retry(RetrySettings(**settings), self.context)

    def script(self, *outcomes: object, takes_s: float = 0.0) -> Script:
        return Script(*outcomes, takes_s=takes_s, clock=self.clock)


def request(**fields: Any) -> Request:
    return Request("tool", "files.read", None, run_id="run", path="a/b", key="k", **fields)


def finish(coroutine: Coroutine[object, object, object]) -> object:
    """What a coroutine gives that never has to wait: driven by hand, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    pytest.fail("The coroutine waits for something.")


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="session")
def make_bench() -> Callable[[], Bench]:
    """For tests that run their body many times."""
    return Bench


@pytest.fixture(scope="session", name="finish")
def finish_fixture() -> Callable[[Coroutine[object, object, object]], object]:
    return finish


@pytest.fixture(scope="session")
def make_request() -> Callable[..., Request]:
    return request
