"""A catalogue: every installed plugin by kind and name, known from metadata alone."""

from __future__ import annotations

import sys

from agentflow_kernel.contracts.values import Value
from agentflow_kernel.errors import UnknownName, UsageError
from agentflow_kernel.loading._scan import KINDS, scan
from agentflow_kernel.loading._trust import TrustRules
from agentflow_kernel.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentflow_kernel.loading._scan import Broken, Offer


class Entry(Value):
    """One installed plugin. ``admitted`` tells whether it may be imported; if not, ``why_not`` says what to do.

    ``value`` is its entry point, ``location`` the metadata folder of its distribution (``""`` where it has none).
    """

    __slots__ = ("kind", "name", "value", "distribution", "version", "location", "admitted", "why_not")

    def __init__(self, offer: Offer, why_not: str = "") -> None:
        self.kind = offer.kind
        self.name = offer.name
        self.value = offer.value
        self.distribution = offer.distribution
        self.version = offer.version
        self.location = offer.location
        self.admitted = not why_not
        self.why_not = why_not


class Catalogue:
    """What is installed in the folders of ``sys.path`` (or ``folders``); read when first asked, then kept.

    Kinds are ``provider, tool, memory, planner, policy, bus, journal, sandbox, source, resource, command, harness``.
    A broken plugin, or broken metadata, affects no other.
    """

    __slots__ = ("settings", "_folders", "_trust", "_entries", "_broken")

    def __init__(self, settings: Settings, folders: Sequence[str] | None = None) -> None:
        self.settings = settings
        self._folders = folders
        self._trust = TrustRules(settings)
        self._entries: tuple[Entry, ...] | None = None
        self._broken: tuple[Broken, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[Entry], settings: Settings | None = None) -> Catalogue:
        """A catalogue of these entries only; nothing is read."""
        made = cls(settings or Settings())
        made._entries = tuple(entries)
        return made

    def names(self, kind: str) -> tuple[str, ...]:
        """The names installed for a kind, sorted; also those that are not admitted.

        Raises:
            UnknownName: there is no such kind.
        """
        return tuple(sorted({entry.name for entry in self.entries(kind)}))

    def entries(self, kind: str | None = None) -> tuple[Entry, ...]:
        """All entries, or those of one kind, by kind, name and distribution; a name offered twice is there twice.

        Raises:
            UnknownName: there is no such kind.
        """
        if kind is not None and kind not in KINDS.values():
            raise UnknownName("kind of plugin", kind, KINDS.values())
        if self._entries is None:
            path: Sequence[object] = sys.path
            folders = [folder for folder in path if isinstance(folder, str)]  # imports ignore the others too
            offers, broken = scan(folders if self._folders is None else self._folders)
            offers.sort(key=lambda offer: (offer.kind, offer.name, offer.distribution))
            self._entries = tuple(Entry(offer, self._trust.why_not(offer)) for offer in offers)
            self._broken = tuple(broken)
        if kind is None:
            return self._entries
        return tuple(entry for entry in self._entries if entry.kind == kind)

    def broken(self) -> tuple[Broken, ...]:
        """Metadata that could not be used, one finding each."""
        self.entries()
        return self._broken

    def find(self, kind: str, name: str) -> Entry | None:
        """The entry of this name, or ``None``. One that is not admitted is found only where no other is.

        Raises:
            UnknownName: there is no such kind.
            UsageError: several distributions offer the name and more than one is admitted.
        """
        found = [entry for entry in self.entries(kind) if entry.name == name]
        admitted = [entry for entry in found if entry.admitted]
        if len(admitted) > 1:
            rivals = " and ".join(f"{entry.distribution} {entry.version}" for entry in admitted)
            raise UsageError(
                f"The {kind} {name!r} is offered by {rivals}. Uninstall all but one, or admit one only "
                "([plugins.allow] in agentflow.toml, or AGENTFLOW_PLUGINS)."
            )
        return next(iter(admitted or found), None)

    def changed(self, entry: Entry) -> str:
        """Why the files of an entry are not those that ``agentflow.toml`` pins by hash; ``""`` when they are."""
        return self._trust.changed(entry)
