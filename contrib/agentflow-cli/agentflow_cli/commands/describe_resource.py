"""`agentflow describe KIND NAME`: what a resource says, what it names and is named by, its versions and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agentflow_cli.completion import names_of
from agentflow_cli.kinds import RESOURCES
from agentflow_cli.listing import Listed, applied, in_manifest
from agentflow_cli.look import ALL, look
from agentflow_cli.output import Table, as_yaml, show
from agentflow_cli.run_list import as_document as run_document
from agentflow_cli.run_list import as_table, local, utc
from agentflow_cli.shared import common_options, files
from agentflow_cli.terminal import write
from agentflow_kernel.errors import UnknownName
from agentflow_kernel.kernel.applied import AppliedResources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_cli.kinds import ResourceKind
    from agentflow_cli.shared import Shared
    from agentflow_kernel import Kernel
    from agentflow_kernel.contracts.journal import RunInfo

RUNS_SHOWN = 5


def _make(each: ResourceKind) -> click.Command:
    """The command for one kind."""

    @click.pass_obj
    def run(shared: Shared, /, name: str, file: str | None) -> None:
        _describe(shared, each.kind, name, file)

    run.__doc__ = f"Show the {each.singular} NAME: what it says, what it names and is named by, versions and runs."
    command: Any = common_options(run)
    text = "Manifest to look into instead of what is applied."
    command = click.option("-f", "--file", metavar="PATH", shell_complete=files, help=text)(command)
    command = click.argument("name", shell_complete=names_of(each.kind))(command)
    made: click.Command = click.command(each.singular)(command)
    return made


def _describe(shared: Shared, kind: str, name: str, file: str | None) -> None:
    state = shared.state_folder(shared.settings())
    kinds = [each.kind for each in RESOURCES]
    listed = applied(state, kinds) if file is None else in_manifest(file, kinds)
    found = next((each for each in listed if each.kind == kind and name in _names(each)), None)
    if found is None:
        raise UnknownName(kind.lower(), name, [one for each in listed if each.kind == kind for one in _names(each)])
    names = {f"{found.kind.lower()}/{one}" for one in _names(found)}
    references = {
        "names": list(found.links),
        "named_by": [each.key for each in listed if not names.isdisjoint(each.links)],
    }
    versions = [] if found.applied is None else AppliedResources(state).versions(found.key)
    runs = _runs(shared, found) if found.kind in {"Flow", "Agent", "Plan"} else []
    document = {
        **found.as_document(),
        **references,
        "versions": [{"version": head["version"], "at": utc(head["at"])} for head in versions],
        "runs": [run_document(info) for info in runs],
    }
    show(shared.output, document, *_tables(found, references, versions, runs))
    if shared.for_people:
        write(f"\n{as_yaml({'spec': found.document['spec']})}")


def _names(listed: Listed) -> tuple[str, ...]:
    return (listed.name, *listed.document["spec"].get("aliases", ()))


def _runs(shared: Shared, found: Listed) -> Sequence[RunInfo]:
    """The newest runs of a flow or agent in the state folder's journal."""

    async def ask(kernel: Kernel) -> Sequence[RunInfo]:
        return [info for info in await kernel.runs(limit=ALL) if info.name == found.key][:RUNS_SHOWN]

    return look(shared, ask) or []


def _tables(
    found: Listed, references: dict[str, list[str]], versions: Sequence[dict[str, Any]], runs: Sequence[RunInfo]
) -> list[Table]:
    metadata = found.document["metadata"]
    values = {
        "kind": found.kind,
        "name": found.name,
        "description": str(found.document["spec"].get("description", "")),
        "labels": ", ".join(f"{key}={value}" for key, value in metadata.get("labels", {}).items()),
        "place": found.place,
        "version": "" if found.applied is None else str(found.applied.version),
        "applied": "" if found.applied is None else local(found.applied.at),
        "names": ", ".join(references["names"]),
        "named by": ", ".join(references["named_by"]),
    }
    tables = [Table(("FIELD", "VALUE"), [(key, value) for key, value in values.items() if value])]
    if len(versions) > 1:
        rows = [(str(head["version"]), local(head["at"]), str(head["file"])) for head in reversed(versions)]
        tables.append(Table(("VERSION", "APPLIED", "FILE"), rows))
    if runs:
        tables.append(as_table(runs))
    return tables


commands = {each.singular: _make(each) for each in RESOURCES}
