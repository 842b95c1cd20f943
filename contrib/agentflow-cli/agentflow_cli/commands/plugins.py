"""`agentflow plugins`: what is installed, read from metadata; nothing is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from agentflow_cli.output import Table, show
from agentflow_cli.shared import common_options
from agentflow_cli.terminal import one_line, say
from agentflow_kernel.loading import Catalogue
from agentflow_kernel.loading.certificate import Certificate

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
    """List the installed plugins, from metadata alone: `agentflow doctor` also imports them.

    CERTIFIED is the date of the certificate that `agentflow certify` has left, or `void` where the files have changed.
    """
    settings = shared.settings()
    catalogue = Catalogue(settings)
    entries = [entry for entry in catalogue.entries(kind) if entry.kind in KINDS]
    broken = [
        {"distribution": found.distribution, "version": found.version, "problem": found.problem}
        for found in catalogue.broken()
    ]
    certified = Certified(shared.state_folder(settings))
    found_of = [(entry, certified.of(entry)) for entry in entries]
    document = {
        "plugins": [{**as_document(entry), "certificate": found} for entry, found in found_of],
        "broken": broken,
    }
    rows = [
        (
            *(entry.kind, entry.name, entry.distribution, entry.version, "yes" if entry.admitted else "no"),
            "" if found is None else "void" if found["void"] else str(found["at"])[:10],
            entry.why_not,
        )
        for entry, found in found_of
    ]
    columns = ("KIND", "NAME", "DISTRIBUTION", "VERSION", "ADMITTED", "CERTIFIED", "WHY NOT")
    show(shared.output, document, Table(columns, rows))
    for found in broken:
        say(one_line("note: {distribution} {version}: {problem}".format(**found)))
    if not entries:
        say(f"No plugins{'' if kind is None else f' of kind {kind}'} are installed.")


class Certified:
    """The certificates in a state folder; each distribution is looked at once."""

    def __init__(self, state_folder: str) -> None:
        self._state_folder = state_folder
        self._known: dict[str, tuple[Certificate | None, str]] = {}

    def of(self, entry: Entry) -> dict[str, object] | None:
        """The certificate of an entry as JSON, with ``void``, the reason why it does not hold; or ``None``."""
        if entry.distribution not in self._known:
            found = Certificate.find(self._state_folder, entry.distribution)
            self._known[entry.distribution] = (found, "" if found is None else found.void_because(entry))
        certificate, void = self._known[entry.distribution]
        if certificate is None or not certificate.covers(entry):
            return None
        return {"at": certificate.at, "kit": certificate.kit, "hash": certificate.digest, "void": void}


def as_document(entry: Entry) -> dict[str, object]:
    """An entry as JSON."""
    names = ("kind", "name", "distribution", "version", "value", "admitted", "why_not")
    return {name: getattr(entry, name) for name in names}
