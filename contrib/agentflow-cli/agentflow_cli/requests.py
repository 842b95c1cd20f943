"""A request: what a command asks of a run that another process may be working on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_cli.look import ALL, look, pick
from agentflow_kernel.errors import UnknownRun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel
    from agentflow_kernel.contracts.journal import Record, RunInfo


def find_run(shared: Shared, run_id: str, file: str | None) -> tuple[RunInfo, Sequence[Record]]:
    """The run with this id or beginning of one, and its records; raises :class:`UnknownRun`."""

    async def ask(kernel: Kernel) -> tuple[RunInfo, Sequence[Record]]:
        info = pick(await kernel.runs(limit=ALL), run_id)
        return info, await kernel.history(info.run_id)

    found = look(shared, ask, file)
    if found is None:
        raise UnknownRun(run_id)
    return found


def request(
    shared: Shared, run_id: str, file: str | None, leave: Callable[[Kernel, str], Awaitable[str]]
) -> tuple[RunInfo, str]:
    """The run with this id or beginning of one, and what ``leave`` has left for it; raises :class:`UnknownRun`."""

    async def ask(kernel: Kernel) -> tuple[RunInfo, str]:
        info = pick(await kernel.runs(limit=ALL), run_id)
        return info, await leave(kernel, info.run_id)

    found = look(shared, ask, file)
    if found is None:
        raise UnknownRun(run_id)
    return found
