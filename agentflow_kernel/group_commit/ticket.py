"""A ticket: one caller's share of a transaction, and what the store that commits it has to offer."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar, cast

from agentflow_kernel.errors import StorageUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Sequence
    from typing import Any

    from agentflow_kernel.group_commit.lane import Bell
    from agentflow_kernel.group_commit.pace import Pace

T = TypeVar("T")


class Ticket(Generic[T]):
    """One caller's job and what became of it: ``value`` or ``error`` once it is ``settled``.

    ``woken`` is set for a caller that waits in an event loop. ``size``: about how many bytes it writes, where known.
    """

    __slots__ = ("value", "error", "settled", "woken", "size")

    def __init__(self) -> None:
        self.value: T | None = None
        self.error: BaseException | None = None
        self.settled = False
        self.woken: Future[None] | Bell | None = None
        self.size: int | None = None

    def do(self, transaction: Any) -> T:
        """The job, with the open transaction, whatever that is for the store.

        A refusal must be raised before its first change.
        """
        raise NotImplementedError

    def settle(self, error: BaseException | None = None) -> None:
        """Fix the outcome."""
        self.error = error
        self.settled = True

    def result(self) -> T:
        """What the job returned, or raise what it raised."""
        if self.error is not None:
            raise self.error
        return cast("T", self.value)


class Job(Ticket[T]):
    """A ticket for any function that takes the transaction."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[Any], T], size: int | None = None) -> None:
        super().__init__()
        self.function = function
        self.size = size

    def do(self, transaction: Any) -> T:
        """Call it."""
        return self.function(transaction)


class Committer(Protocol):
    """What makes tickets durable. Thread-safe; every method blocks."""

    name: str
    """Where the store lies, for messages."""
    pace: Pace

    def run(self, tickets: Sequence[Ticket[Any]]) -> None:
        """Settle all tickets in order, in one transaction; a job that refuses does not harm the others."""
        ...

    def run_at_once(self, ticket: Ticket[Any]) -> bool:
        """Settle one ticket without waiting for anything but a disk that is fast; ``False``: it is for :meth:`run`."""
        ...


def closed(path: str) -> StorageUnavailable:
    """The error of every call after the end."""
    return StorageUnavailable(f"Storage {path!r} is closed. Open another one.", executed="no")
