"""A listing: resources that are applied, or that a manifest holds, as rows and documents."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from agentflow_cli.fitting import Fit
from agentflow_cli.literal_secrets import hidden
from agentflow_cli.run_list import local, utc
from agentflow_cli.run_report import nearby
from agentflow_kernel.kernel.applied import AppliedResources
from agentflow_kernel.kernel.applied_index import key_of
from agentflow_kernel.manifest import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agentflow_kernel.kernel.applied_index import AppliedIndex, AppliedResource

    Document = Mapping[str, Any]


FIT: Final = Fit(spare=("VERSION", "CACHED $/M", "SOURCE", "CONTEXT", "ALIASES"))
"""How lists of resources and models give way."""


class AnyEnvironment(Mapping[str, str]):
    """An environment in which every variable is set: what is only shown need not be able to run."""

    def __getitem__(self, name: str) -> str:
        return os.environ.get(name, "")

    def __iter__(self) -> Iterator[str]:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)


class Listed:
    """One resource as it is listed; ``applied`` is `None` if it is not.

    ``document`` is what its manifest says, with marks for secrets that are written out there; ``known`` what the
    plugin knows beyond that.
    """

    __slots__ = ("applied", "document", "file", "kind", "known", "line", "links", "name")

    def __init__(
        self,
        document: Document,
        *,
        file: str,
        line: int,
        links: Sequence[str] = (),
        applied: AppliedResource | None = None,
    ) -> None:
        self.kind: str = document["kind"]
        self.name: str = document["metadata"]["name"]
        self.document = hidden(document) if applied is None else hidden(document, applied.key, applied.version)
        self.file = file
        self.line = line
        self.links = tuple(links)
        self.applied = applied
        self.known: dict[str, Any] = {}

    @property
    def key(self) -> str:
        """How it is named: `flow/triage`."""
        return key_of(self.kind, self.name)

    @property
    def place(self) -> str:
        """Where it was read."""
        return f"{nearby(self.file) if os.path.isabs(self.file) else self.file}:{self.line}"

    def as_document(self) -> dict[str, Any]:
        """The resource as JSON, with where it comes from beside it."""
        found: dict[str, Any] = {**self.document, "file": self.file, "line": self.line}
        if self.applied is not None:
            found["version"], found["applied"] = self.applied.version, utc(self.applied.at)
        if self.known:
            found["known"] = self.known
        return found


def applied(state: str, kinds: Sequence[str], index: AppliedIndex | None = None) -> list[Listed]:
    """What is applied of these kinds, by kind and name."""
    store = AppliedResources(state)
    index = store.index() if index is None else index
    found = [each for each in index.resources.values() if each.kind in kinds]
    return [
        Listed(store.document(each.key, each.version), file=each.file, line=each.line, links=each.links, applied=each)
        for each in found
    ]


def in_manifest(path: str, kinds: Sequence[str]) -> list[Listed]:
    """What a manifest holds of these kinds, in its order."""
    return [
        Listed(
            resource.document(),
            file=resource.file,
            line=resource.line,
            links=[key_of(kind, name) for kind, name in resource.links],
        )
        for resource in read(path, environ=AnyEnvironment()).resources
        if resource.kind in kinds
    ]


def headings(kind: str, *, wide: bool) -> tuple[str, ...]:
    """The columns of a list of one kind; of several kinds for `""`."""
    names = ("NAME" if kind else "RESOURCE", "VERSION", *_COLUMNS[kind])
    if wide:
        return (*names, "APPLIED", "PLACE", "DESCRIPTION")
    return names if kind else (*names, "APPLIED", "PLACE")


def row(listed: Listed, kind: str, *, wide: bool) -> tuple[str, ...]:
    """The cells of one resource."""
    spec = {**{name: value for name, value in listed.known.items() if value}, **listed.document["spec"]}
    version, at = ("", "") if listed.applied is None else (str(listed.applied.version), local(listed.applied.at))
    cells = (listed.name if kind else listed.key, version, *(text(spec) for text in _CELLS[kind]))
    if wide:
        return (*cells, at, listed.place, str(spec.get("description", "")))
    return cells if kind else (*cells, at, listed.place)


def price(value: object) -> str:
    """A price for people."""
    return f"{value:g}" if isinstance(value, int | float) else ""


def _maker(spec: Document) -> str:
    return str(spec.get("plugin") or spec.get("uses") or "")


def _planner(spec: Document) -> str:
    planner = spec.get("planner", "tools")
    return planner if isinstance(planner, str) else _maker(planner)


def _price(name: str) -> Callable[[Document], str]:
    return lambda spec: price(spec.get("prices", {}).get(name))


def _text(*names: str) -> Callable[[Document], str]:
    """The text under a path of fields; a list as its words."""

    def text(spec: Document) -> str:
        value: Any = spec
        for name in names:
            value = value.get(name, "")
            if value == "":
                return ""
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

    return text


def _settings(spec: Document) -> str:
    return ", ".join(spec.get("with", {}))


_PLUGGED: Final[tuple[tuple[str, Callable[[Document], str]], ...]] = (("PLUGIN", _maker), ("SETTINGS", _settings))
_KINDS: Final[Mapping[str, tuple[tuple[str, Callable[[Document], str]], ...]]] = {
    "": (),
    "Flow": (
        ("NODES", lambda spec: str(len(spec["nodes"]))),
        ("START", lambda spec: str(spec.get("start") or next(iter(spec["nodes"]), ""))),
        ("POLICIES", _text("policies")),
    ),
    "Agent": (("MODEL", _text("model")), ("PLANNER", _planner), ("TOOLS", _text("tools")), ("MEMORY", _text("memory"))),
    "Plan": (("PLANNER", _planner), ("TOOLS", _text("tools")), ("FILE", _text("file"))),
    "Model": (
        ("PROVIDER", _maker),
        ("MODEL", _text("model")),
        ("ALIASES", _text("aliases")),
        ("IN $/M", _price("input")),
        ("OUT $/M", _price("output")),
        ("CACHED $/M", _price("cached")),
        ("AS OF", _text("prices", "as_of")),
        ("SOURCE", _text("prices", "source")),
    ),
    "Trigger": (
        ("SOURCE", lambda spec: _maker(spec) or f"on {spec.get('on', '')}"),
        ("START", _text("start")),
        ("KEY", _text("key", "$ref")),
    ),
    "Tool": _PLUGGED,
    "Memory": (*_PLUGGED, ("TTL S", _text("ttl_s"))),
    "Policy": _PLUGGED,
    "Journal": _PLUGGED,
}
_COLUMNS: Final = {kind: tuple(name for name, _ in columns) for kind, columns in _KINDS.items()}
_CELLS: Final = {kind: tuple(text for _, text in columns) for kind, columns in _KINDS.items()}
