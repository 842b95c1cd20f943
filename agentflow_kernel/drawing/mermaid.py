"""A chart: a picture as text that Mermaid draws."""

from __future__ import annotations

from agentflow_kernel.drawing.picture import ROUND, Group, Picture, Shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 60
_ARROWS = {"way": "-->", "fan": "-.->", "undo": "-.->"}
_STYLES = {
    "visited": "stroke:#2e7d32,stroke-width:2px",
    "working": "stroke:#1565c0,stroke-width:4px",
    "waiting": "stroke:#b26a00,stroke-width:3px,stroke-dasharray:4 3",
    "failed": "stroke:#c62828,stroke-width:4px",
}


def to_mermaid(picture: Picture) -> str:
    """The picture as a Mermaid flowchart, ending in a newline.

    Every text stands in quotes behind an identifier of its own, so that no name can be taken for syntax.
    """
    chart = _Chart(picture)
    return "\n".join(["flowchart TD", *chart.level("", "n", "  "), *chart.styles()]) + "\n"


class _Chart:
    """One picture being written: the identifier of each shape."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.inside = picture.inside()
        self.edges = picture.edges_inside()
        self.names: dict[str, str] = {}

    def level(self, parent: str, prefix: str, indent: str) -> Iterator[str]:
        """What stands in one group, then its edges, then its end."""
        ends = []
        number = 0
        for shape in self.inside[parent]:
            if shape.kind in ("start", "end"):
                self.names[shape.id] = "start" if shape.kind == "start" else "stop"
                line = f"{indent}{self.names[shape.id]}([{_quoted(shape.label)}])"
                if shape.kind == "end":
                    ends.append(line)
                else:
                    yield line
                continue
            name = self.names[shape.id] = f"{prefix}{number}"
            number += 1
            if isinstance(shape, Group):
                text = f"{shape.label} ({shape.detail})" if shape.detail else shape.label
                yield f"{indent}subgraph {name} [{_quoted(text)}]"
                yield from self.level(shape.id, f"{name}_", indent + "  ")
                yield f"{indent}end"
            else:
                yield f"{indent}{name}{_box(shape)}"
        for edge in self.edges.get(parent, ()):
            label = f"|{_quoted(edge.label)}|" if edge.label else ""
            yield f"{indent}{self.names[edge.source]} {_ARROWS[edge.kind]}{label} {self.names[edge.target]}"
        yield from ends

    def styles(self) -> Iterator[str]:
        """The marks."""
        used: dict[str, list[str]] = {}
        for shape in self.picture.shapes.values():
            if shape.mark:
                used.setdefault(shape.mark, []).append(self.names[shape.id])
        for mark, names in used.items():
            yield f"  classDef {mark} {_STYLES[mark]}"
            yield f"  class {','.join(names)} {mark}"


def _box(shape: Shape) -> str:
    if shape.batch:
        return f"[[{_quoted(shape.label)}]]"
    if shape.kind == "event":
        return f">{_quoted(f'{shape.label}: {shape.detail}')}]"
    if shape.kind in ROUND:
        return f"([{_quoted(shape.label)}])"
    if shape.kind in ("wait", "ask"):
        return f"{{{{{_quoted(shape.label)}}}}}"
    return f"[{_quoted(shape.label)}]"


def _quoted(text: str) -> str:
    """The text as a label: quotes, angle brackets, ampersands, hashes and line ends become character codes."""
    plain = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    plain = "".join("\ufffd" if "\ud800" <= mark <= "\udfff" else mark for mark in plain)
    return '"' + "".join(f"#{ord(mark)};" if _is_risky(mark) else mark for mark in plain) + '"'


def _is_risky(mark: str) -> bool:
    """Whether a mark could end a text or a line."""
    return mark in '"<>&#|`\\\u2028\u2029' or mark < " " or "\x7f" <= mark <= "\x9f"
