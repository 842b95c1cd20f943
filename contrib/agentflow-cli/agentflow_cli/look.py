"""A look into a journal, the state folder's or that of a manifest: opens it, asks, and closes it again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from agentflow_cli.terminal import answer_only
from agentflow_kernel import Kernel
from agentflow_kernel.errors import UnknownRun, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel.contracts.journal import RunInfo

T = TypeVar("T")

ALL: Final = 1_000_000
"""A limit for lists that are searched, not shown."""


def look(shared: Shared, ask: Callable[[Kernel], Awaitable[T]], file: str | None = None) -> T | None:
    """The answer of `ask`, or `None` where there is no state folder yet: looking does not make one.

    With ``file`` the journal is that of the manifest there. Raises :class:`UsageError` where the state folder is
    something else, and what the journal raises.
    """
    settings = shared.settings()
    state = shared.state_folder(settings)
    if file is None and settings.journal == "sqlite" and not os.path.exists(state):
        return None
    if os.path.exists(state) and not os.path.isdir(state):
        raise UsageError(f"State folder {state!r} is no folder. Name another with --state.")

    async def main() -> T:
        if file is None:
            closed = Kernel(settings=settings, state=state, journal=settings.journal)
        else:
            closed = Kernel.from_manifest(file, settings=settings, state=state, journal=settings.journal)
        async with closed as kernel:
            return await ask(kernel)

    with answer_only(for_people=shared.for_people):
        return anyio.run(main)


def pick(infos: Sequence[RunInfo], given: str) -> RunInfo:
    """The run that is meant by an id or by the beginning of one, also as ``get runs -o name`` writes it: ``run/…``.

    Raises :class:`UnknownRun` where no run is, :class:`UsageError` where several are.
    """
    given = given.removeprefix("run/")
    found = [info for info in infos if info.run_id.startswith(given)]
    exact = [info for info in found if info.run_id == given]
    if exact or len(found) == 1:
        return (exact or found)[0]
    if not found or not given:
        raise UnknownRun(given)
    some = ", ".join(info.run_id for info in found[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    raise UsageError(f"{len(found)} runs begin with {given!r}: {some}{more}. Give more of the id.")
