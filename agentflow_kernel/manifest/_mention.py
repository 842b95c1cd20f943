"""A mention: a shape whose text names something else, another resource, an installed plugin or a piece of code."""

from __future__ import annotations

from agentflow_kernel.manifest import _code
from agentflow_kernel.manifest._context import REJECTED, Mention
from agentflow_kernel.manifest._shape import Name, Text
from agentflow_kernel.manifest._wording import described

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentflow_kernel.manifest._context import Context
    from agentflow_kernel.manifest._node import Node
    from agentflow_kernel.manifest._path import Path

_NAME = Name()


class Link(Text):
    """The name of a resource of one of the ``kinds``."""

    __slots__ = ("kinds",)

    PATTERN = Name.PATTERN

    def __init__(self, *kinds: str, expected: str = "") -> None:
        super().__init__(expected or f"the name of a resource of kind {kinds[0]}")
        self.kinds = kinds

    def target(self, text: str) -> tuple[tuple[str, ...], str] | None:
        """Kinds and name of the resource meant, or ``None`` for a text of another form."""
        return (self.kinds, text) if _NAME.fits(text) else None

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The text as it stands; what it names is looked up when all resources are known."""
        text = super().read(node, path, context)
        if text is REJECTED:
            return REJECTED
        target = self.target(text)
        if target is None:
            return context.wrong(node, path, self.expected)
        context.links.append(Mention(*target, node, path))
        return text


class ToolLink(Link):
    """One tool, ``files.read``; where ``whole`` sets are allowed also a Tool's name, which stands for all its tools."""

    __slots__ = ("whole",)

    TOOL = "[A-Za-z0-9_.-]{1,128}"

    def __init__(self, *, whole: bool) -> None:
        what = "the name of a resource of kind Tool, or '<Tool>.<tool>'" if whole else "'<Tool>.<tool>'"
        super().__init__("Tool", expected=f"{what} such as 'files.read'")
        self.whole = whole

    def target(self, text: str) -> tuple[tuple[str, ...], str] | None:
        """The Tool before the first dot."""
        resource, dot, tool = text.partition(".")
        if not dot:
            return super().target(resource) if self.whole else None
        letters = tool.replace("_", "a").replace("-", "a").replace(".", "a")
        return super().target(resource) if letters.isascii() and letters.isalnum() and len(tool) <= 128 else None


class PrefixedLink(Link):
    """The name of a resource with its kind in lower case before it: ``flow/triage``."""

    __slots__ = ()

    def __init__(self, *kinds: str) -> None:
        super().__init__(*kinds, expected=" or ".join(f"'{kind.lower()}/<name>'" for kind in kinds))

    def target(self, text: str) -> tuple[tuple[str, ...], str] | None:
        """Kind and name on both sides of the stroke."""
        prefix, _, name = text.partition("/")
        kinds = tuple(kind for kind in self.kinds if kind.lower() == prefix)
        return (kinds, name) if kinds and _NAME.fits(name) else None


class Plugin(Text):
    """The name of an installed plugin (of its entry point) of this kind; looked up where a catalogue is given."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        super().__init__(f"the name of a {kind} plugin")
        self.kind = kind

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The name."""
        text = super().read(node, path, context)
        if text is not REJECTED:
            context.plugins.append(Mention((self.kind,), text, node, path))
        return text


class File(Text):
    """A text file below the manifest's folder: ``./charts/door.scxml``."""

    __slots__ = ()

    PATTERN = r"\./[^:\\]+"

    def __init__(self) -> None:
        super().__init__("a file below the manifest's folder, such as './door.scxml'")

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The text; the file exists, what it holds is not looked at."""
        text = super().read(node, path, context)
        if text is REJECTED:
            return REJECTED
        problem = _code.form_problem(text) or context.scope.code.problem(text)
        return context.found(f"{problem[0].upper()}{problem[1:]}", (node.line, node.column), path) if problem else text


class Code(Text):
    """A function or class in a file below the manifest's folder: ``./nodes.py:parse``."""

    __slots__ = ()

    PATTERN = r"\./[^:\\]+\.py:[^\W\d]\w*"

    def __init__(self) -> None:
        super().__init__(_code.FORM)

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The text; the file exists, what it holds is not looked at."""
        text = super().read(node, path, context)
        if text is REJECTED:
            return REJECTED
        place = (node.line, node.column)
        try:
            file, _ = _code.split(text)
        except ValueError as exc:
            return context.found(f"Expected {self.expected}, found {described(text)}: {exc}.", place, path)
        problem = context.scope.code.problem(file)
        return context.found(problem, place, path) if problem else text
