"""Links: resources that name each other; every name is there, of the right kind, and nothing contains itself."""

from __future__ import annotations

from agentflow_kernel.manifest._wording import either, listed, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentflow_kernel.manifest._context import Context, Mention
    from agentflow_kernel.manifest._resource import Resource

    Edge = tuple[str, Mention, Context]


_NESTED = ("Flow", "Agent", "Plan")
"""Kinds that may hold each other."""


class Names:
    """What a manifest defines, by kind and by name.

    ``unread`` are names of documents that were rejected as a whole: mentioning them is no further finding. ``known``
    are kinds and names of resources that exist elsewhere.
    """

    __slots__ = ("_by_kind", "_by_name", "unread")

    def __init__(
        self, resources: Iterable[Resource], unread: Iterable[str], known: Iterable[tuple[str, str]] = ()
    ) -> None:
        self._by_kind: dict[str, dict[str, None]] = {}
        self._by_name: dict[str, list[str]] = {}
        self.unread = frozenset(unread)
        there = [(resource.kind, name) for resource in resources for name in resource.names]
        for kind, name in dict.fromkeys([*there, *known]):
            self._by_kind.setdefault(kind, {})[name] = None
            self._by_name.setdefault(name, []).append(kind)

    def check(self, mention: Mention, context: Context) -> None:
        """Add a finding where nothing of the right kind has the name."""
        name, kinds = mention.name, mention.kinds
        known = self._by_kind.get(kinds[0], {})
        if name in known or name in self.unread:
            return
        place = (mention.node.line, mention.node.column)
        if name in self._by_name:
            problem = f"{shown(name)} is of kind {either(self._by_name[name], 'and')}, expected {either(kinds)}."
            context.found(problem, place, mention.path)
            return
        hint = context.scope.findings.suggest(name, known) if known else f"Add a resource of kind {kinds[0]}."
        context.found(f"Unknown {kinds[0]} {shown(name)}. Known: {listed(known)}.", place, mention.path, hint=hint)


def check_cycles(readings: Iterable[tuple[Resource, Context]]) -> None:
    """Add a finding at each link that closes a circle of flows, agents and plans; it shows the way round."""
    edges: dict[str, list[Edge]] = {
        f"{resource.kind.lower()}/{resource.name}": [
            (f"{link.kinds[0].lower()}/{link.name}", link, context)
            for link in context.links
            if link.kinds[0] in _NESTED and len(link.kinds) == 1
        ]
        for resource, context in readings
        if resource.kind in _NESTED
    }
    done: set[str] = set()
    for name in edges:
        if name not in done:
            _walk(name, edges, done)


def _walk(start: str, edges: dict[str, list[Edge]], done: set[str]) -> None:
    """Depth first from ``start``, without recursion: flows may be nested as deep as there are flows."""
    way = {start: iter(edges[start])}
    while way:
        name = next(reversed(way))
        edge = next(way[name], None)
        if edge is None:
            del way[name]
            done.add(name)
            continue
        target, mention, context = edge
        if target in way:
            names = list(way)
            circle = [*names[names.index(target) :], target]
            what = "Flows, agents and plans"
            if all(name.startswith("flow/") for name in circle):
                what, circle = "Flows", [name.removeprefix("flow/") for name in circle]
            text = " → ".join(circle if len(circle) <= 20 else [*circle[:10], "…", *circle[-9:]])
            place = (mention.node.line, mention.node.column)
            context.found(f"{what} contain each other in a circle: {text}.", place, mention.path)
        elif target in edges and target not in done:
            way[target] = iter(edges[target])
