"""`agentflow resume`: go on with runs that were suspended or whose process is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from agentflow_cli import failure
from agentflow_cli.completion import run_ids as offered_ids
from agentflow_cli.look import ALL, look, pick
from agentflow_cli.output import show
from agentflow_cli.run_list import as_document, as_table
from agentflow_cli.session import Session
from agentflow_cli.shared import common_options, file_option, progress_option
from agentflow_cli.terminal import say
from agentflow_kernel import Kernel
from agentflow_kernel.errors import PluginError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_cli.session import Begin
    from agentflow_cli.shared import Shared
    from agentflow_kernel import RunHandle
    from agentflow_kernel.contracts.journal import RunInfo
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.errors import AgentFlowError

    Origins = dict[str, Mapping[str, JSON]]


COUNTED: Final = ("resumed", "parked", "quarantined", "unservable", "elsewhere")
"""What is told of a recovery that did not resume every run."""


@click.command("resume")
@click.argument("run_ids", nargs=-1, metavar="[RUN_ID]...", shell_complete=offered_ids)
@click.option("--all", "everything", is_flag=True, help="All runs that can be resumed.")
@click.option(
    "--accept-environment",
    is_flag=True,
    help="Go on although environment variables that the manifest names have changed.",
)
@file_option
@progress_option
@common_options
@click.pass_obj
def command(
    shared: Shared,
    run_ids: Sequence[str],
    file: str | None,
    everything: bool,  # noqa: FBT001 - passed by name
    accept_environment: bool,  # noqa: FBT001 - passed by name
) -> int:
    """Go on with runs after their last completed step.

    RUN_ID is an id or its beginning. Without one, the only run that can be resumed is; several are listed.
    """
    if run_ids and everything:
        raise UsageError("Give run ids or --all, not both.")
    chosen: list[RunInfo] = []

    async def ask(kernel: Kernel) -> Origins:
        chosen.extend(_choose(await kernel.runs(limit=ALL), run_ids))
        if len(chosen) > 1 and not run_ids and not everything:
            return {}
        return {info.run_id: await kernel.origin(info.run_id) for info in chosen}

    origins = look(shared, ask, file) or {}
    if run_ids and not chosen:
        pick([], run_ids[0])
    if not chosen:
        say("No run can be resumed.")
        if not shared.for_people:
            show(shared.output, {"runs": []})
        return 0
    if not origins:
        show(shared.output, {"runs": [as_document(info) for info in chosen]}, as_table(chosen))
        raise UsageError(f"{len(chosen)} runs can be resumed: name one or more, or give --all.")
    if not everything:
        return Session(shared).carry_out(_work(shared, origins, accept_environment=accept_environment))
    left: list[str] = []
    work = _work(shared, origins, left, accept_environment=accept_environment)
    return Session(shared).carry_out(work) or _told(left)


def _choose(infos: Sequence[RunInfo], run_ids: Sequence[str]) -> Sequence[RunInfo]:
    """The runs that are named, or all that can be resumed; whether a named one can is for the kernel to say."""
    if run_ids:
        return list({info.run_id: info for info in (pick(infos, given) for given in run_ids)}.values())
    return [info for info in infos if info.status == "suspended"]


def _work(
    shared: Shared, origins: Origins, left: list[str] | None = None, *, accept_environment: bool
) -> list[tuple[Kernel, Begin]]:
    """A kernel for each manifest, as the runs were started with it, and the runs to resume in it.

    With ``left`` what cannot be resumed stays behind, with a line there, and does not stop the others.
    """
    settings = shared.settings()
    state = shared.state_folder(settings)
    groups: dict[tuple[str, str | None, bool], list[str]] = {}
    for run_id, origin in origins.items():
        if not origin.get("manifest"):
            text = f"Run {run_id} was not started from a manifest; only its own program can resume it."
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
        work.append((kernel, _begin(run_ids, left, accept_environment=accept_environment)))
    return work


def _give_up(error: AgentFlowError, left: list[str] | None) -> None:
    """Leave runs behind; raises the error where nothing may be left behind."""
    if left is None:
        raise error
    left.extend(failure.lines(error))


def _begin(run_ids: Sequence[str], left: list[str] | None, *, accept_environment: bool) -> Begin:
    """What to do in the open kernel."""

    async def begin(kernel: Kernel) -> Sequence[RunHandle]:
        return [await kernel.resume(run_id, accept_environment=accept_environment) for run_id in run_ids]

    async def recover(kernel: Kernel) -> Sequence[RunHandle]:
        found = await kernel.recover(run_ids, accept_environment=accept_environment)
        if found.resumed < found.found and left is not None:
            counts = ", ".join(f"{getattr(found, word)} {word}" for word in COUNTED)
            left.append(f"Of {found.found} runs: {counts}; the log says why.")
        return found.handles

    return begin if left is None else recover


def _told(left: Sequence[str]) -> int:
    """Say what was left behind; returns the exit code."""
    for line in left:
        say(line)
    return failure.FAILED if left else 0
