"""A document: one resource's YAML as a tree of nodes, read from parser events with limits on depth and size.

Events, and not PyYAML's own composer, because the composer calls itself for every level (deep nesting ends the
process), expands aliases without a limit and reads YAML 1.1 (``no`` is false, ``010`` is eight).
"""

from __future__ import annotations

import yaml
from yaml import events

from agentflow_kernel.manifest._node import BROKEN, Node
from agentflow_kernel.manifest._path import written
from agentflow_kernel.manifest._scalar import SUSPICIOUS, resolve
from agentflow_kernel.manifest._syntax import explain
from agentflow_kernel.manifest._wording import described, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agentflow_kernel.manifest._findings import Findings
    from agentflow_kernel.manifest._path import Step

MAX_DEPTH = 64
"""Levels of nesting, the document's own mapping being the first."""
MAX_NODES = 250_000
"""Values in all files of one reading."""
MAX_COPIES = 100_000
"""Values that aliases may add in all files of one reading."""

_DROPPED = "a key about which a finding exists"
"""Stands for such a key, compared by identity: the value is read and forgotten."""


class _GiveUp(Exception):
    """A limit was passed: the finding exists, the rest of the file is not read."""


class _Frame:
    """A mapping or list that is being read. ``key`` is the key whose value comes next, ``None`` before a key."""

    __slots__ = ("anchor", "height", "key", "key_place", "node", "size_before")

    def __init__(self, node: Node, anchor: str | None, size_before: int) -> None:
        self.node = node
        self.anchor = anchor
        self.size_before = size_before
        self.height = 1
        self.key: str | None = None
        self.key_place = (0, 0)


class _Anchored:
    """What an anchor names: the node, how many values it holds with all copies in it, how many levels."""

    __slots__ = ("height", "node", "size")

    def __init__(self, node: Node, size: int, height: int) -> None:
        self.node = node
        self.size = size
        self.height = height


class Reader:
    """Reads the files of one reading one after the other; the limits hold for all of them together."""

    __slots__ = ("_anchors", "_copies", "_file", "_findings", "_frames", "_handlers", "_nodes", "_root", "_roots")

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._nodes = 0
        self._copies = 0
        self._file = ""
        self._roots: list[Node] = []
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchored | None] = {}
        self._root: Node | None = None
        self._handlers: dict[type, Callable[[Any], None]] = {
            events.ScalarEvent: self._scalar,
            events.MappingStartEvent: self._mapping,
            events.SequenceStartEvent: self._list,
            events.MappingEndEvent: self._end,
            events.SequenceEndEvent: self._end,
            events.AliasEvent: self._alias,
            events.DocumentStartEvent: self._document_start,
            events.DocumentEndEvent: self._document_end,
            events.StreamStartEvent: self._stream,
            events.StreamEndEvent: self._stream,
        }

    def documents(self, file: str, text: str) -> tuple[list[Node], bool]:
        """The documents of a file that are not empty, and whether it could be read to its end."""
        self._file = file
        self._roots = []
        self._frames = []
        handlers = self._handlers
        try:
            loader = yaml.CSafeLoader(text) if yaml.__with_libyaml__ else yaml.SafeLoader(text)
            take = loader.get_event
            while (event := take()) is not None:
                handlers[event.__class__](event)
        except _GiveUp:
            return self._roots, False
        except (yaml.YAMLError, ValueError) as exc:
            place, problem, hint = explain(exc, text)
            self._found(problem, place, hint=hint)
            return self._roots, False
        return self._roots, True

    # ------------------------------------------------------------ handlers of events

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        value: str = event.value
        line, column = mark.line + 1, mark.column + 1
        frame = self._frames[-1] if self._frames else None
        plain = event.implicit[0]
        if event.tag is not None:
            content: Any = self._refused_tag(event.tag, line, column)
        elif plain and value[:1] in SUSPICIOUS:
            content = self._resolved(value, line, column)
        else:
            content = value if value.isascii() else self._encodable(value, line, column)
        if frame is not None and frame.key is None and frame.node.keys is not None:
            self._key(frame, content, line, column, merge=plain and value == "<<")
            return
        node = Node(content, line, column)
        self._count(node)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(node, 1, 0)
        self._place(node)

    def _mapping(self, event: Any) -> None:
        node = self._opened({}, event)
        node.keys = {}

    def _list(self, event: Any) -> None:
        self._opened([], event)

    def _end(self, event: Any) -> None:
        frame = self._frames.pop()
        if frame.anchor is not None:
            size = self._nodes + self._copies - frame.size_before
            self._anchors[frame.anchor] = _Anchored(frame.node, size, frame.height)
        if self._frames and frame.height >= self._frames[-1].height:
            self._frames[-1].height = frame.height + 1
        self._place(frame.node)

    def _alias(self, event: Any) -> None:
        name: str = event.anchor
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        frame = self._frames[-1] if self._frames else None
        node = Node(BROKEN, *place)
        if frame is not None and frame.key is None and frame.node.keys is not None:
            self._found(f"A key must be written out, found the alias {shown('*' + name)}.", place)
        elif name not in self._anchors:
            hint = self._findings.suggest(name, self._anchors)
            self._found(f"Alias {shown('*' + name)} has no anchor {shown('&' + name)} before it.", place, hint=hint)
        elif (anchored := self._anchors[name]) is None:
            self._found(f"Alias {shown('*' + name)} stands inside the very value that it names.", place)
        else:
            self._copies += anchored.size
            if self._copies > MAX_COPIES:
                self._give_up(f"Aliases add more than {MAX_COPIES:,} values.", place, "Write the values out.")
            if len(self._frames) + anchored.height > MAX_DEPTH:
                self._too_deep(place)
            if frame is not None and anchored.height >= frame.height:
                frame.height = anchored.height + 1
            node = anchored.node
        self._place(node)

    def _document_start(self, event: Any) -> None:
        self._anchors = {}
        self._root = None

    def _document_end(self, event: Any) -> None:
        if self._root is not None and self._root.value is not None:
            self._roots.append(self._root)

    def _stream(self, event: Any) -> None:
        """Begin and end of the stream say nothing."""

    # ------------------------------------------------------------ building

    def _opened(self, value: Any, event: Any) -> Node:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        frames = self._frames
        if len(frames) >= MAX_DEPTH:
            self._too_deep((line, column))
        if event.tag is not None:
            self._refused_tag(event.tag, line, column)
        if frames and frames[-1].key is not None and frames[-1].key_place[0] != line:
            line, column = frames[-1].key_place
        node = Node(value, line, column)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        frames.append(_Frame(node, event.anchor, self._nodes + self._copies))
        self._count(node)
        return node

    def _key(self, frame: _Frame, key: Any, line: int, column: int, *, merge: bool) -> None:
        """Take the key of the value that comes next; a key that cannot be used is dropped with its value."""
        frame.key_place = (line, column)
        frame.key = _DROPPED
        if key is BROKEN:
            return
        if key.__class__ is not str:
            self._found(f"A key must be a string, found {described(key)}.", (line, column), hint="Quote it.")
        elif merge:
            hint = "Repeat the fields, or quote the key."
            self._found("The merge key '<<' is not part of YAML 1.2.", (line, column), hint=hint)
        elif key in frame.node.value:
            first = frame.node.key_place(key)
            problem = f"Key {shown(key)} is given twice, first at {first[0]}:{first[1]}."
            self._found(problem, (line, column), last=key)
        else:
            frame.key = key

    def _place(self, node: Node) -> None:
        """Put a complete value where it belongs."""
        if not self._frames:
            self._root = node
            return
        frame = self._frames[-1]
        keys = frame.node.keys
        if keys is None:
            frame.node.value.append(node)
        elif frame.key is None:
            self._key(frame, node.value, node.line, node.column, merge=False)
        else:
            if frame.key is not _DROPPED:
                frame.node.value[frame.key] = node
                keys[frame.key] = frame.key_place
            frame.key = None

    def _count(self, node: Node) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._give_up(f"The manifest holds more than {MAX_NODES:,} values.", (node.line, node.column), "Split it.")

    # ------------------------------------------------------------ what is wrong with single values

    def _resolved(self, text: str, line: int, column: int) -> Any:
        try:
            return resolve(text)
        except ValueError as exc:
            hint = "Quote it if it is text."
            self._found(f"{shown(text)} is no number that can be kept: {exc}.", (line, column), hint=hint)
            return BROKEN

    def _encodable(self, text: str, line: int, column: int) -> Any:
        """The text, unless it holds half a surrogate pair, which only PyYAML's slower parser lets through."""
        try:
            text.encode()
        except UnicodeEncodeError:
            self._found("An escape in this string is no Unicode character.", (line, column))
            return BROKEN
        return text

    def _refused_tag(self, tag: str, line: int, column: int) -> Any:
        short = tag.replace("tag:yaml.org,2002:", "!!", 1)
        hint = "A manifest holds plain values only. Remove the tag; quote the value if it is text."
        self._found(f"The YAML tag {shown(short)} is refused.", (line, column), hint=hint)
        return BROKEN

    def _too_deep(self, place: tuple[int, int]) -> None:
        self._give_up(f"Values are nested more than {MAX_DEPTH} levels deep.", place, "")

    def _give_up(self, problem: str, place: tuple[int, int], hint: str) -> None:
        self._found(problem, place, hint=f"{hint} The rest of this file was not read.".strip())
        raise _GiveUp

    def _found(self, problem: str, place: tuple[int, int], *, hint: str = "", last: str | None = None) -> None:
        path: list[Step] = []
        for frame in self._frames:
            if frame.node.keys is None:
                path.append(len(frame.node.value))
            elif frame.key is not None and frame.key is not _DROPPED:
                path.append(frame.key)
        if last is not None:
            path.append(last)
        self._findings.add(problem, self._file, place, path=written(path), hint=hint)
