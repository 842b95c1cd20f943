"""A picture: shapes, groups of them and edges between them, as neutral data that every form of drawing is made from."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MARKS = ("visited", "working", "waiting", "failed")
"""What a shape may be marked with, the last one counting most."""


ROUND = ("start", "end", "initial", "final", "history")
"""The kinds of shapes with round ends. A picture has at most one ``start`` and ``end``, each group its own others."""


class Shape:
    """One box. ``id`` is unique in the picture; ``parent`` is the id of the group that it stands in, ``""`` for none.

    ``kind`` is a word such as ``call``, ``agent``, ``event``, ``state``, ``start`` or ``end``; ``detail`` is a second,
    smaller text; ``batch`` says that it stands for many.
    """

    __slots__ = ("id", "label", "kind", "parent", "detail", "batch", "mark")

    def __init__(
        self, id: str, label: str, *, kind: str = "call", parent: str = "", detail: str = "", batch: bool = False
    ) -> None:
        self.id = id
        self.label = label
        self.kind = kind
        self.parent = parent
        self.detail = detail
        self.batch = batch
        self.mark = ""
        """One of :data:`MARKS`, or ``""``."""

    def to_json(self) -> dict[str, object]:
        """Everything but what is empty."""
        fields = {name: getattr(self, name) for name in Shape.__slots__}
        return {name: value for name, value in fields.items() if value or name in {"id", "label", "kind"}}


class Group(Shape):
    """A box round others: a nested flow, a fork, a composite state."""

    __slots__ = ()


class Edge:
    """An arrow between two shapes or groups that stand in the same group. ``kind``: ``way``, ``fan`` or ``undo``."""

    __slots__ = ("source", "target", "label", "kind")

    def __init__(self, source: str, target: str, label: str = "", kind: str = "way") -> None:
        self.source = source
        self.target = target
        self.label = label
        self.kind = kind

    def to_json(self) -> dict[str, object]:
        """Everything but an empty label."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in fields.items() if value or name != "label"}


class Picture:
    """A title, shapes and groups in reading order, and edges."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.shapes: dict[str, Shape] = {}
        self.edges: list[Edge] = []

    def add(self, shape: Shape) -> None:
        """Add a shape or a group; its group comes before it. One more of the same id takes its place."""
        self.shapes[shape.id] = shape

    def inside(self) -> dict[str, list[Shape]]:
        """What stands in each group, by the group's id, and under ``""`` what stands in none."""
        found: dict[str, list[Shape]] = {"": []}
        for shape in self.shapes.values():
            if isinstance(shape, Group):
                found.setdefault(shape.id, [])
            found.setdefault(shape.parent, []).append(shape)
        return found

    def edges_inside(self) -> dict[str, list[Edge]]:
        """The edges within each group, by its id."""
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(self.shapes[edge.source].parent, []).append(edge)
        return found

    def mark(self, marks: Mapping[str, str]) -> None:
        """Mark shapes by their ids; ids that are not there are passed over."""
        for name, mark in marks.items():
            if name in self.shapes:
                self.shapes[name].mark = mark

    def to_json(self) -> dict[str, object]:
        """The whole picture: ``title``, ``nodes``, ``groups`` and ``edges``."""
        shapes: Iterable[Shape] = self.shapes.values()
        return {
            "title": self.title,
            "nodes": [shape.to_json() for shape in shapes if not isinstance(shape, Group)],
            "groups": [shape.to_json() for shape in shapes if isinstance(shape, Group)],
            "edges": [edge.to_json() for edge in self.edges],
        }
