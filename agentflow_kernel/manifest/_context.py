"""A context: what reading one resource needs to know, and what it leaves behind to be checked once all are read."""

from __future__ import annotations

from agentflow_kernel.manifest._node import BROKEN
from agentflow_kernel.manifest._path import unrolled, written
from agentflow_kernel.manifest._wording import described, listed, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from agentflow_kernel.manifest._code import CodeFolder
    from agentflow_kernel.manifest._findings import Findings
    from agentflow_kernel.manifest._node import Node
    from agentflow_kernel.manifest._path import Path, Step

REJECTED: Any = object()
"""What a shape returns in place of a value about which it has added a finding."""


class Scope:
    """What all resources of one reading share."""

    __slots__ = ("code", "environ", "findings")

    def __init__(self, findings: Findings, environ: Mapping[str, str], code: CodeFolder) -> None:
        self.findings = findings
        self.environ = environ
        self.code = code


class Mention:
    """A name that a resource mentions: of another resource, a plugin or a value; ``kinds`` says of what."""

    __slots__ = ("kinds", "name", "node", "path")

    def __init__(self, kinds: tuple[str, ...], name: str, node: Node, path: Path) -> None:
        self.kinds = kinds
        self.name = name
        self.node = node
        self.path = path


class Context:
    """Reads one resource. ``label`` names it in findings: ``Model 'claude'``.

    ``links`` mention other resources, ``plugins`` installed plugins, ``data`` holds the texts of ``$ref``.
    ``substituted`` lists where the text of the manifest was replaced: path and original text.
    """

    __slots__ = ("data", "file", "label", "links", "plugins", "scope", "substituted")

    def __init__(self, scope: Scope, file: str, label: str) -> None:
        self.scope = scope
        self.file = file
        self.label = label
        self.links: list[Mention] = []
        self.plugins: list[Mention] = []
        self.data: list[Mention] = []
        self.substituted: list[tuple[tuple[Step, ...], str]] = []

    def found(self, problem: str, place: tuple[int, int], path: Path | None, *, hint: str = "") -> Any:
        """Add a finding; returns :data:`REJECTED`."""
        self.scope.findings.add(problem, self.file, place, path=written(unrolled(path)), hint=hint)
        return REJECTED

    def substitute(self, path: Path, original: str) -> None:
        """Remember that the text at ``path`` replaced ``original``."""
        self.substituted.append((unrolled(path), original))

    def wrong(self, node: Node, path: Path | None, expected: str, *, hint: str = "") -> Any:
        """Add the finding that a value is not what was expected, unless one exists already."""
        if node.value is not BROKEN:
            problem = f"Expected {expected}, found {described(node.value)}."
            self.found(problem, (node.line, node.column), path, hint=hint)
        return REJECTED

    def unknown_field(self, node: Node, path: Path | None, name: str, known: Collection[str]) -> None:
        """Add the finding that a mapping has a field which nothing reads."""
        left = [field for field in known if field not in node.value]
        hint = self.scope.findings.suggest(name, left)
        problem = f"Unknown field {shown(name)}. Known here: {listed(known)}."
        self.found(problem, node.key_place(name), (path, name), hint=hint)
