"""A catalogue: what a manifest may ask about the plugins that are installed."""

from __future__ import annotations

from agentflow_kernel.errors import pip_line
from agentflow_kernel.manifest._kinds import DEFAULT_PLANNER
from agentflow_kernel.manifest._shape import Name
from agentflow_kernel.manifest._wording import listed, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from agentflow_kernel.manifest._context import Context
    from agentflow_kernel.manifest._path import Path
    from agentflow_kernel.manifest._resource import Resource
else:
    Protocol = object

PLAIN_NAME = Name()


class Catalogue(Protocol):
    """Any object with this method; a reading asks at most once for each kind."""

    def names(self, kind: str) -> Iterable[str]:
        """Names of the installed plugins of a kind.

        ``kind`` is ``provider``, ``tool``, ``memory``, ``planner``, ``policy``, ``journal`` or ``source``.
        """
        raise NotImplementedError


class Shelf:
    """Looks up the plugins that resources mention; keeps the catalogue's answers for one reading."""

    __slots__ = ("_catalogue", "_names")

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._names: dict[str, frozenset[str]] = {}

    def check(self, resource: Resource, context: Context) -> None:
        """Add a finding for each plugin that is not installed, the default planner of an agent included."""
        for mention in context.plugins:
            place = (mention.node.line, mention.node.column)
            self._look(mention.kinds[0], mention.name, context, place, mention.path)
        if resource.kind == "Agent" and "planner" not in resource.given():
            place = resource.positions.locate(("spec",))
            self._look("planner", DEFAULT_PLANNER, context, place, ((None, "spec"), "planner"))

    def _look(self, kind: str, name: str, context: Context, place: tuple[int, int], path: Path) -> None:
        if kind not in self._names:
            self._names[kind] = frozenset(self._catalogue.names(kind))
        installed = self._names[kind]
        if name in installed:
            return
        problem = f"No {kind} plugin {shown(name)} is installed. Installed: {listed(installed)}."
        hint = context.scope.findings.suggest(name, installed)
        if PLAIN_NAME.fits(name):  # anything else might be taken for more than a name by the shell it is pasted into
            hint = f"{hint} To add it: {pip_line(kind, name)}".strip()
        context.found(problem, place, path, hint=hint)
