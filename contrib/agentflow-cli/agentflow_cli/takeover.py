"""A takeover: runs of other processes go on in this one, each in a kernel of the manifest that it was started with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_cli import failure
from agentflow_cli.look import ALL, look, pick
from agentflow_cli.session import Session
from agentflow_kernel import Kernel
from agentflow_kernel.errors import PluginError, UnknownRun, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from agentflow_cli.session import Begin
    from agentflow_cli.shared import Shared
    from agentflow_kernel import RunHandle
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.errors import AgentFlowError

    Origins = dict[str, Mapping[str, JSON]]
    """Where each run came from."""
    One = Callable[[Kernel, str], Awaitable[RunHandle]]
    Many = Callable[[Kernel, Sequence[str]], Awaitable[Sequence[RunHandle]]]
    """What to do in an open kernel with its runs."""


def take_over(shared: Shared, run_id: str, file: str | None, one: One) -> int:
    """Do something with the run of this id, or beginning of one, and see what it leads to; returns the exit code."""

    async def ask(kernel: Kernel) -> Origins:
        info = pick(await kernel.runs(limit=ALL), run_id)
        return {info.run_id: await kernel.origin(info.run_id)}

    origins = look(shared, ask, file)
    if origins is None:
        raise UnknownRun(run_id)
    return Session(shared).carry_out(work_on(shared, origins, each(one)))


def each(one: One) -> Many:
    """Do it with one run after another."""

    async def many(kernel: Kernel, run_ids: Sequence[str]) -> Sequence[RunHandle]:
        return [await one(kernel, run_id) for run_id in run_ids]

    return many


def work_on(shared: Shared, origins: Origins, begin: Many, left: list[str] | None = None) -> list[tuple[Kernel, Begin]]:
    """A kernel for each manifest, as the runs were started with it, and what to begin there.

    With ``left`` what cannot be taken over stays behind, with a line there, and does not stop the others.
    """
    settings = shared.settings()
    state = shared.state_folder(settings)
    groups: dict[tuple[str, str | None, bool], list[str]] = {}
    for run_id, origin in origins.items():
        if not origin.get("manifest"):
            text = f"Run {run_id} was not started from a manifest; only its own program can go on with it."
            _give_up(UsageError(text), left)
            continue
        model = origin.get("model")
        key = (str(origin["manifest"]), None if model is None else str(model), bool(origin.get("trust_code")))
        groups.setdefault(key, []).append(run_id)
    work: list[tuple[Kernel, Begin]] = []
    for (path, model, trust_code), run_ids in groups.items():
        try:
            kernel = Kernel.from_manifest(
                path, settings=settings, state=state, journal=settings.journal, trust_code=trust_code, model=model
            )
        except (UsageError, PluginError) as error:
            _give_up(error, left)
            continue
        work.append((kernel, _with(run_ids, begin)))
    return work


def _with(run_ids: Sequence[str], begin: Many) -> Begin:
    async def there(kernel: Kernel) -> Sequence[RunHandle]:
        return await begin(kernel, run_ids)

    return there


def _give_up(error: AgentFlowError, left: list[str] | None) -> None:
    """Leave runs behind; raises the error where nothing may be left behind."""
    if left is None:
        raise error
    left.extend(failure.lines(error))
