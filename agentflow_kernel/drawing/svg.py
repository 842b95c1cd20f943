"""A vector picture: a picture as SVG, readable on light and on dark ground, with a title for each of its parts."""

from __future__ import annotations

from agentflow_kernel.drawing.layers import GAP_Y, lay_out
from agentflow_kernel.drawing.picture import ROUND, Group, Picture, Shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentflow_kernel.drawing.layers import Layout, Point
    from agentflow_kernel.drawing.picture import Edge

_FONT = 13.0
_SMALL = 10.5
_LONGEST = 60
_MARGIN = 16.0
_PAD = 14.0
_HEAD = 22.0
"""Room for the name of a group."""
_SIGNS = {"visited": "✓", "working": "▶", "waiting": "…", "failed": "✕"}
"""A mark is a sign too: not everybody tells the colours apart."""
_WIDE = {**dict.fromkeys("mwMW@%", 0.92), **dict.fromkeys("iljtfrI.,:;'|!()[]{} -", 0.36)}

_STYLE = """
svg { --ground: #ffffff; --box: #f4f6f8; --group: #00000008; --line: #5f6b76; --text: #1b1f24; --quiet: #57606a;
  --visited: #2e7d32; --working: #1565c0; --waiting: #9a5b00; --failed: #c62828; background: var(--ground); }
@media (prefers-color-scheme: dark) { svg { --ground: #14171a; --box: #22272e; --group: #ffffff0d; --line: #8b98a5;
  --text: #e6edf3; --quiet: #9aa7b4; --visited: #66bb6a; --working: #64b5f6; --waiting: #ffb74d; --failed: #ef5350; } }
text { font: 13px "DejaVu Sans", Verdana, sans-serif; fill: var(--text); text-anchor: middle; }
text.small, .edge text { font-size: 10.5px; fill: var(--quiet); }
.edge text { paint-order: stroke; stroke: var(--ground); stroke-width: 4px; }
.box { fill: var(--box); stroke: var(--line); stroke-width: 1.2; }
.group > .box { fill: var(--group); stroke-dasharray: 5 4; }
.edge path { fill: none; stroke: var(--line); stroke-width: 1.2; }
.fan path, .undo path { stroke-dasharray: 4 3; }
.head { fill: var(--line); }
""" + "".join(f".{mark} > .box {{ stroke: var(--{mark}); stroke-width: 3; }}\n" for mark in _SIGNS)


def to_svg(picture: Picture) -> str:
    """The picture as an SVG document, ending in a newline; the same picture always gives the same text."""
    drawing = _Drawing(picture)
    width, height = (round(side + 2 * _MARGIN, 1) for side in drawing.size("", 0))
    body = "\n".join(drawing.draw("", _MARGIN, _MARGIN))
    count = sum(not isinstance(shape, Group) for shape in picture.shapes.values())
    about = f"{count} nodes, {len(picture.edges)} edges"
    marked = [f"{shape.id}: {shape.mark}" for shape in picture.shapes.values() if shape.mark]
    about += f"; {', '.join(marked)}" if marked else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-labelledby="title about">\n<title id="title">{_safe(picture.title)}</title>\n'
        f'<desc id="about">{_safe(about)}</desc>\n<style>{_STYLE}</style>\n'
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path class="head" d="M0 0 8 4 0 8z"/></marker></defs>\n'
        f"{body}\n</svg>\n"
    )


class _Drawing:
    """One picture being drawn: the layout of each group, from the inside out."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.inside = picture.inside()
        self.edges = picture.edges_inside()
        self.layouts: dict[str, Layout] = {}
        self.sizes: dict[str, tuple[float, float]] = {}

    def size(self, parent: str, depth: int) -> tuple[float, float]:
        """Width and height of what stands in a group, after laying it out."""
        sizes = {}
        for shape in self.inside[parent]:
            if isinstance(shape, Group):
                width, height = self.size(shape.id, depth + 1)
                name = _text_width(_group_text(shape), _FONT) + 2 * _PAD
                size = (max(width + 2 * _PAD, name), height + _HEAD + 2 * _PAD)
            else:
                width = max(_text_width(_cut(shape.label), _FONT), _text_width(_cut(shape.detail), _SMALL))
                size = (max(56.0, width + 2 * _PAD + (14 if shape.mark else 0)), 46.0 if shape.detail else 32.0)
            sizes[shape.id] = self.sizes[shape.id] = size
        layout = self.layouts[parent] = lay_out(sizes, [(e.source, e.target) for e in self.edges.get(parent, ())])
        return layout.width, layout.height

    def draw(self, parent: str, left: float, top: float) -> Iterator[str]:
        """Groups and boxes, then the edges over them."""
        layout = self.layouts[parent]
        for shape in self.inside[parent]:
            x, y = layout.boxes[shape.id]
            yield from self._shape(shape, left + x, top + y)
        for edge, bends in zip(self.edges.get(parent, ()), layout.lines, strict=True):
            yield self._edge(edge, layout, [(left + x, top + y) for x, y in bends], (left, top))

    def _shape(self, shape: Shape, left: float, top: float) -> Iterator[str]:
        width, height = self.sizes[shape.id]
        grouped = isinstance(shape, Group)
        classes = " ".join(filter(None, ("group" if grouped else "node", _word(shape.kind), shape.mark)))
        told = f"{shape.label} ({shape.mark})" if shape.mark else shape.label
        yield f'<g class="{classes}" data-id="{_safe(shape.id)}"><title>{_safe(told)}</title>'
        if shape.batch:
            yield _rect(left + 4, top + 4, width, height, 4)
        yield _rect(left, top, width, height, height / 2 if shape.kind in ROUND else 10 if grouped else 4)
        sign = f"{_SIGNS[shape.mark]} " if shape.mark else ""
        middle = left + width / 2
        if grouped:
            yield _text(middle, top + 17, sign + _group_text(shape))
            inner = self.layouts[shape.id].width
            yield from self.draw(shape.id, left + (width - inner) / 2, top + _HEAD + _PAD)
        else:
            yield _text(middle, top + (19 if shape.detail else 20.5), sign + _cut(shape.label))
            if shape.detail:
                yield _text(middle, top + 35, _cut(shape.detail), small=True)
        yield "</g>"

    def _edge(self, edge: Edge, layout: Layout, bends: Sequence[Point], at: Point) -> str:
        first, last = self._middle(edge.source, layout, at), self._middle(edge.target, layout, at)
        (x, y), height = first, self.sizes[edge.source][1] / 2
        if edge.source == edge.target:
            right = x + self.sizes[edge.source][0] / 2
            path = f"M{right:.1f} {y - 7:.1f}c26 -14 26 28 0 14"
            label = (right + 22, y)
        else:
            down = first[1] < last[1]
            other = self.sizes[edge.target][1] / 2
            start, end = (x, y + (height if down else -height)), (last[0], last[1] + (-other if down else other))
            if first[1] == last[1]:  # side by side in one row: over the top
                start, end = (x, y - height), (last[0], last[1] - other)
                bends = [(start[0], start[1] - GAP_Y / 3), (end[0], end[1] - GAP_Y / 3)]
            points = [start, *bends, end]
            path = f"M{points[0][0]:.1f} {points[0][1]:.1f}" + "".join(map(_curve, points, points[1:]))
            label = ((points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2 + 3)
        told = f"{self.picture.shapes[edge.source].label} → {self.picture.shapes[edge.target].label}"
        text = _text(*label, _cut(edge.label)) if edge.label else ""
        return (
            f'<g class="edge {_word(edge.kind)}" data-from="{_safe(edge.source)}" data-to="{_safe(edge.target)}">'
            f"<title>{_safe(told + (f': {edge.label}' if edge.label else ''))}</title>"
            f'<path d="{path}" marker-end="url(#arrow)"/>{text}</g>'
        )

    def _middle(self, name: str, layout: Layout, at: Point) -> Point:
        (x, y), (width, height) = layout.boxes[name], self.sizes[name]
        return at[0] + x + width / 2, at[1] + y + height / 2


def _curve(start: Point, end: Point) -> str:
    """A line from one point to the next: straight where it is upright, else an S."""
    if start[0] == end[0]:
        return f"L{end[0]:.1f} {end[1]:.1f}"
    half = (start[1] + end[1]) / 2
    return f"C{start[0]:.1f} {half:.1f} {end[0]:.1f} {half:.1f} {end[0]:.1f} {end[1]:.1f}"


def _rect(left: float, top: float, width: float, height: float, corner: float) -> str:
    return (
        f'<rect class="box" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{corner:.1f}"/>'
    )


def _text(x: float, y: float, text: str, *, small: bool = False) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}"{" class=" + chr(34) + "small" + chr(34) if small else ""}>{_safe(text)}</text>'
    )


def _group_text(shape: Shape) -> str:
    return _cut(f"{shape.label} ({shape.detail})" if shape.detail else shape.label)


def _text_width(text: str, size: float) -> float:
    """About how wide a text is in a sans-serif font; letters of East Asia are square."""
    return size * sum(1.05 if mark > "\u2e7f" else _WIDE.get(mark, 0.72 if mark.isupper() else 0.63) for mark in text)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _word(text: str) -> str:
    """A text as the name of a class."""
    return "".join(mark if mark.isascii() and mark.isalnum() else "-" for mark in text)


def _safe(text: str) -> str:
    """The text for content and attributes; what XML cannot hold becomes a replacement character."""
    plain = "".join(
        "\ufffd"
        if mark < " " or "\x7f" <= mark <= "\x9f" or "\ud800" <= mark <= "\udfff" or mark in "\ufffe\uffff"
        else mark
        for mark in text
    )
    for mark, code in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        plain = plain.replace(mark, code)
    return plain
