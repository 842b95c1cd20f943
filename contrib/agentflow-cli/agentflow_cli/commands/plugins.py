"""`agentflow plugins`: what is installed, read from metadata; nothing is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from agentflow_cli.output import Table, show
from agentflow_cli.shared import common_options
from agentflow_cli.terminal import one_line, say
from agentflow_kernel.loading import Catalogue

if TYPE_CHECKING:
    from agentflow_cli.shared import Shared
    from agentflow_kernel.loading import Entry

KINDS: Final = (
    "provider", "tool", "memory", "planner", "policy", "bus", "journal", "sandbox", "source", "resource", "command",
)  # fmt: skip


@click.command("plugins")
@click.option("--kind", type=click.Choice(KINDS), help="Only plugins of this kind.")
@common_options
@click.pass_obj
def command(shared: Shared, kind: str | None) -> None:
    """List the installed plugins, from metadata alone: `agentflow doctor` also imports them."""
    catalogue = Catalogue(shared.settings())
    entries = [entry for entry in catalogue.entries(kind) if entry.kind in KINDS]
    broken = [
        {"distribution": found.distribution, "version": found.version, "problem": found.problem}
        for found in catalogue.broken()
    ]
    document = {"plugins": [as_document(entry) for entry in entries], "broken": broken}
    rows = [
        (entry.kind, entry.name, entry.distribution, entry.version, "yes" if entry.admitted else "no", entry.why_not)
        for entry in entries
    ]
    show(shared.output, document, Table(("KIND", "NAME", "DISTRIBUTION", "VERSION", "ADMITTED", "WHY NOT"), rows))
    for found in broken:
        say(one_line("note: {distribution} {version}: {problem}".format(**found)))
    if not entries:
        say(f"No plugins{'' if kind is None else f' of kind {kind}'} are installed.")


def as_document(entry: Entry) -> dict[str, object]:
    """An entry as JSON."""
    names = ("kind", "name", "distribution", "version", "value", "admitted", "why_not")
    return {name: getattr(entry, name) for name in names}
