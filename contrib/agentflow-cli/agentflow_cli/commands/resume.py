"""`agentflow resume`: go on with runs that were suspended or whose process is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from agentflow_cli import failure
from agentflow_cli.completion import run_ids as offered_ids
from agentflow_cli.look import ALL, look, pick
from agentflow_cli.output import show
from agentflow_cli.run_list import as_document, as_table
from agentflow_cli.session import Session
from agentflow_cli.shared import common_options, file_option, progress_option
from agentflow_cli.takeover import each, work_on
from agentflow_cli.terminal import say
from agentflow_cli.verdicts import read_verdict
from agentflow_kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_cli.shared import Shared
    from agentflow_cli.takeover import Origins
    from agentflow_kernel import Kernel, RunHandle
    from agentflow_kernel.contracts.journal import RunInfo


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
@click.option("--accept", is_flag=True, help="What is on record stands, although steps now get other inputs.")
@click.option(
    "--decide",
    "decisions",
    multiple=True,
    metavar="STEP=OUTCOME",
    help="What became of a step whose outcome is unknown: done, retry or fail. May be repeated.",
)
@click.option(
    "--result", "results", multiple=True, metavar="STEP=JSON", help="The result of a step that is decided as done."
)
@file_option
@progress_option
@common_options
@click.pass_obj
def command(
    shared: Shared,
    /,
    run_ids: Sequence[str],
    file: str | None,
    everything: bool,  # noqa: FBT001 - passed by name
    accept_environment: bool,  # noqa: FBT001 - passed by name
    **said: Any,
) -> int:
    """Go on with runs after their last completed step.

    RUN_ID is an id or its beginning. Without one, the only run that can be resumed is; several are listed.
    """
    if run_ids and everything:
        raise UsageError("Give run ids or --all, not both.")
    verdict = read_verdict(said["decisions"], said["results"], accept=said["accept"])
    if verdict is not None and len(run_ids) != 1:
        raise UsageError("--accept, --decide and --result are about one run: name it.")
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

        async def resume(kernel: Kernel, run_id: str) -> RunHandle:
            return await kernel.resume(run_id, accept_environment=accept_environment, verdict=verdict)

        return Session(shared).carry_out(work_on(shared, origins, each(resume)))
    left: list[str] = []

    async def recover(kernel: Kernel, run_ids: Sequence[str]) -> Sequence[RunHandle]:
        found = await kernel.recover(run_ids, accept_environment=accept_environment)
        if found.resumed < found.found:
            counts = ", ".join(f"{getattr(found, word)} {word}" for word in COUNTED)
            left.append(f"Of {found.found} runs: {counts}; the log says why.")
        return found.handles

    return Session(shared).carry_out(work_on(shared, origins, recover, left)) or _told(left)


def _choose(infos: Sequence[RunInfo], run_ids: Sequence[str]) -> Sequence[RunInfo]:
    """The runs that are named, or all that can be resumed; whether a named one can is for the kernel to say."""
    if run_ids:
        return list({info.run_id: info for info in (pick(infos, given) for given in run_ids)}.values())
    return [info for info in infos if info.status == "suspended"]


def _told(left: Sequence[str]) -> int:
    """Say what was left behind; returns the exit code."""
    for line in left:
        say(line)
    return failure.FAILED if left else 0
