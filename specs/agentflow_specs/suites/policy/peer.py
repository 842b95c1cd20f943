"""A peer: the innermost call of a test, which answers as it was told and remembers each attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

from agentflow_kernel.contracts.policy import Request

if TYPE_CHECKING:
    from collections.abc import Sequence


class Peer:
    """Fails with each of ``failures`` in turn, then answers with the payload."""

    def __init__(self, *failures: BaseException) -> None:
        self._failures = list(failures)
        self.attempts: list[int] = []
        """The number that each request had when it came."""

    async def __call__(self, request: Request) -> object:
        """One attempt."""
        self.attempts.append(request.attempt)
        await checkpoint()
        if self._failures:
            raise self._failures.pop(0)
        return request.payload


def request(payload: object = None, *, idempotent: bool = True) -> Request:
    """A request with a value in each field."""
    return Request(
        "tool", "files.read", payload, run_id="run", path="a/b", key="key", idempotent=idempotent,
    )  # fmt: skip


def fields(of: Request) -> Sequence[object]:
    """All that no policy may change."""
    return (of.kind, of.name, of.payload, of.run_id, of.path, of.key, of.idempotent)
