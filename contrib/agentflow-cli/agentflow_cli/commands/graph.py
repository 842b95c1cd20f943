"""`agentflow graph`: draw a flow or a plan, and where a run of it stands."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from agentflow_cli.completion import runnable
from agentflow_cli.listing import applied, in_manifest
from agentflow_cli.look import ALL, look, pick
from agentflow_cli.plan_picture import is_plan, manifest_of, plan_picture
from agentflow_cli.shared import files, other_options
from agentflow_cli.terminal import say, write
from agentflow_kernel.drawing import to_mermaid, to_svg
from agentflow_kernel.errors import UnknownName, UnknownRun, UsageError
from agentflow_kernel.flow.outline import outline_of
from agentflow_kernel.flow.picture import picture_of
from agentflow_kernel.run.position import marks_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel
    from agentflow_kernel.contracts.journal import Record, RunInfo
    from agentflow_kernel.drawing import Picture

    Specs = Mapping[str, Mapping[str, Any]]

FORMATS: Final = ("mermaid", "svg", "json")


@click.command("graph")
@click.argument("target", shell_complete=runnable)
@click.option("-f", "--file", metavar="PATH", shell_complete=files, help="Manifest that holds the flow.")
@click.option(
    "-o", "--output", "form", type=click.Choice(FORMATS), help="Form of the picture.  [default: by --to, mermaid]"
)
@click.option(
    "--to", "out", metavar="FILE", shell_complete=files, help="Where to write it.  [default: standard output]"
)
@click.option("--run", "run_id", metavar="RUN_ID", help="Mark where this run stands: an id or its beginning.")
@other_options
@click.pass_obj
def command(
    shared: Shared, target: str, file: str | None, form: str | None, out: str | None, run_id: str | None
) -> int:
    """Draw the flow or plan TARGET, `flow/x`, `plan/x` or `x`: of the manifest given with --file, or applied.

    Where TARGET is a manifest itself, its only flow is drawn, or its only plan where it has no flow. Of a flow no code
    is imported, a plan is drawn by its planner.
    """
    picture = _plan(shared, target, file, run_id)
    if picture is None:
        name, specs = _found(shared, target, file)
        picture = picture_of(outline_of(name, specs))
        if run_id is not None:
            picture.mark(_marks(shared, run_id, file, name, picture))
    text = _drawn(picture, form or _form_of(out))
    if out is None:
        write(text)
        return 0
    Path(out).write_text(text, encoding="utf-8")
    say(f"{out}: {len(picture.shapes)} shapes, {len(picture.edges)} edges.")
    return 0


def _plan(shared: Shared, target: str, file: str | None, run_id: str | None) -> Picture | None:
    """The picture of a plan, `None` where the target is none."""
    if file is None and os.path.exists(target):
        file, target = target, ""
    manifest = manifest_of(shared, file)
    plans = manifest.of("Plan")
    if not target and len(plans) == 1 and not manifest.of("Flow"):
        target = f"plan/{plans[0].name}"
    if not is_plan(manifest, target):
        return None
    return plan_picture(shared, manifest, target, file=file, run_id=run_id)


def _form_of(out: str | None) -> str:
    """The form that the name of a file asks for."""
    return {".svg": "svg", ".json": "json"}.get(os.path.splitext(out or "")[1].lower(), "mermaid")


def _drawn(picture: Picture, form: str) -> str:
    if form == "json":
        return json.dumps(picture.to_json(), ensure_ascii=False, indent=2) + "\n"
    return to_svg(picture) if form == "svg" else to_mermaid(picture)


def _found(shared: Shared, target: str, file: str | None) -> tuple[str, Specs]:
    """The name of the flow and all flows that it may hold."""
    if file is None and os.path.exists(target):
        file, target = target, ""
    kinds = ["Flow"]
    listed = applied(shared.state_folder(shared.settings()), kinds) if file is None else in_manifest(file, kinds)
    specs = {each.name: each.document["spec"] for each in listed}
    name = target.removeprefix("flow/")
    if not target:
        if len(specs) != 1:
            names = ", ".join(f"flow/{name}" for name in specs) or "none"
            raise UsageError(f"{file} has {len(specs)} flows ({names}): name one, `agentflow graph NAME -f {file}`.")
        name = next(iter(specs))
    if name not in specs:
        raise UnknownName("flow", name, specs)
    return name, specs


def _marks(shared: Shared, run_id: str, file: str | None, name: str, picture: Picture) -> Mapping[str, str]:
    """Where a run of the flow stands. Raises :class:`UsageError` for a run of another flow."""

    async def ask(kernel: Kernel) -> tuple[RunInfo, Sequence[Record]]:
        info = pick(await kernel.runs(limit=ALL), run_id)
        return info, await kernel.history(info.run_id)

    found = look(shared, ask, file)
    if found is None:
        raise UnknownRun(run_id)
    info, records = found
    if info.name.removeprefix("flow/") != name:
        raise UsageError(f"Run {info.run_id} is one of {info.name!r}, not of 'flow/{name}'.")
    return marks_of(records, picture)
