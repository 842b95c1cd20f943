"""A resource: one named thing that a manifest defines."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from agentflow_kernel.manifest._node import Node
    from agentflow_kernel.manifest._path import Step


class Resource:
    """Immutable by contract.

    ``spec`` is plain JSON: checked, defaults filled in, environment variables put in (so it may hold secrets: show
    :meth:`written` instead). Optional fields without a default are absent. ``file``, ``line`` and ``column`` say where
    its name stands; ``positions`` is the document with the place of every value. ``folder`` is the absolute folder that
    its relative paths start from, and ``links`` are kinds and names of the resources that it names.
    """

    __slots__ = (
        "annotations", "column", "file", "folder", "kind", "labels", "line", "links", "name", "positions", "spec",
        "substituted",
    )  # fmt: skip

    def __init__(self, kind: str, metadata: dict[str, Any], spec: dict[str, Any], file: str, positions: Node) -> None:
        self.kind = kind
        self.name: str = metadata["name"]
        self.labels: dict[str, str] = metadata["labels"]
        self.annotations: dict[str, str] = metadata["annotations"]
        self.spec = spec
        self.file = file
        self.line, self.column = positions.locate(("metadata", "name"))
        self.positions = positions
        self.substituted: list[tuple[tuple[Step, ...], str]] = []
        self.folder = ""
        self.links: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, then its aliases where its kind has such."""
        return (self.name, *self.spec.get("aliases", ()))

    def given(self, *path: str) -> Collection[str]:
        """The keys of the mapping at ``path`` within the spec as the manifest has them, without defaults."""
        node = self.positions
        for step in ("spec", *path):
            if node.value.__class__ is not dict or step not in node.value:
                return ()
            node = node.value[step]
        keys: Collection[str] = node.value if node.value.__class__ is dict else ()
        return keys

    def written(self) -> dict[str, Any]:
        """The spec with defaults, but with ``${NAME}`` as it stands in the manifest: fit to be shown and logged."""
        spec: dict[str, Any] = _copied(self.spec)
        for steps, original in self.substituted:
            if steps[0] == "spec":
                holder: Any = spec
                for step in steps[1:-1]:
                    holder = holder[step]
                holder[steps[-1]] = original
        return spec

    def document(self) -> dict[str, Any]:
        """The whole resource as it stands in the manifest: without defaults, with ``${NAME}`` and ``$${`` unread."""
        found: dict[str, Any] = _plain(self.positions)
        return found

    def replace_text(self, path: Collection[Step], text: str) -> None:
        """Put a text, as a manifest writes it, in the place of another; before others have seen the resource.

        ``path`` begins at the document and ends in settings, which hold any text. No variable is put in.
        """
        *steps, last = path
        node = self.positions
        holder: Any = {"spec": self.spec}
        for step in steps:
            node, holder = node.value[step], holder[step]
        node.value[last].value = text
        holder[last] = text.replace("$${", "${")

    def __repr__(self) -> str:
        return f"Resource({self.kind!r}, {self.name!r}, file={self.file!r}, line={self.line})"


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(child) for key, child in value.items()}
    return [_copied(child) for child in value] if isinstance(value, list) else value


def _plain(node: Node) -> Any:
    value = node.value
    if value.__class__ is dict:
        return {key: _plain(child) for key, child in value.items()}
    return [_plain(child) for child in value] if value.__class__ is list else value
