"""Trust: which installed distributions may be imported, by ``agentflow.toml`` and ``AGENTFLOW_PLUGINS``."""

from __future__ import annotations

import os

from agentflow_kernel.errors import UsageError
from agentflow_kernel.loading._record import differing_file, holds_module, is_editable, record_digest
from agentflow_kernel.settings import normalise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.loading._catalogue import Entry
    from agentflow_kernel.loading._scan import Offer
    from agentflow_kernel.loading._versions import VersionRange
    from agentflow_kernel.settings import Settings


class TrustRules:
    """The rules of one ``agentflow.toml``, narrowed by ``AGENTFLOW_PLUGINS`` (distributions, ``agentflow-`` optional).

    Raises:
        UsageError: a version range in the file is none.
    """

    __slots__ = ("settings", "_limit", "_ranges")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        limit = os.environ.get("AGENTFLOW_PLUGINS")
        self._limit = None if limit is None else {normalise(name.strip()) for name in limit.split(",")}
        self._ranges: dict[str, VersionRange] = {}
        if settings.trust == "listed":
            self._ranges = _ranges(settings)

    def why_not(self, offer: Offer) -> str:
        """Why an entry may not be imported and what would allow it; ``""`` when it may. Reads metadata only."""
        name = offer.distribution
        if self._limit is not None and not {name, name.removeprefix("agentflow-")} & self._limit:
            return "AGENTFLOW_PLUGINS is set and does not name it."
        if self.settings.trust == "installed":
            return ""
        place = f"under [plugins.allow] in {self.settings.file}"
        rule = self.settings.plugins.get(name)
        if rule is None:
            return f'it is not listed. To allow it, add {name} = "=={offer.version}" {place}.'
        if offer.version not in self._ranges[name]:
            return f'version {offer.version} is not in "{rule.version}", the range of {name} {place}.'
        if not offer.location or is_editable(offer.location):
            return (
                'an editable install cannot be listed: its files change. Install a wheel, or set trust = "installed".'
            )
        if not rule.digest:
            return ""
        try:
            found = record_digest(offer.location)
        except (OSError, ValueError) as exc:
            return f"a hash is required {place}, but its RECORD cannot be read: {exc}."
        if found != rule.digest:
            return f'its hash is "{found}", but "{rule.digest}" is the one of {name} {place}.'
        return ""

    def changed(self, entry: Entry) -> str:
        """Why the files behind a pinned entry are not those that were pinned; ``""`` when they are, or none is pinned.

        To be asked right before the import, for it reads every file of the distribution.
        """
        rule = self.settings.plugins.get(entry.distribution)
        if self.settings.trust == "installed" or rule is None or not rule.digest:
            return ""
        try:
            if not holds_module(entry.location, entry.value.partition(":")[0]):
                return f"{entry.value!r} would be imported from elsewhere than the files that its hash covers."
            differing = differing_file(entry.location)
        except (OSError, ValueError) as exc:
            return f"its RECORD cannot be read: {exc}."
        return f"{differing} is not the file that its hash covers. Reinstall {entry.distribution}." if differing else ""


def _ranges(settings: Settings) -> dict[str, VersionRange]:
    from agentflow_kernel.loading._versions import VersionRange  # lazy: only where a list is

    found = {}
    for name, rule in settings.plugins.items():
        try:
            found[name] = VersionRange(rule.version)
        except ValueError as exc:
            raise UsageError(f"{settings.file}: plugins.allow.{name}: {exc}.") from exc
    return found
