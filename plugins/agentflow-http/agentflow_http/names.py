"""Tool names on the wire: `files.read` travels as `files__read`, because vendors allow no dot."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agentflow_kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentflow_kernel.contracts.provider import ToolInfo


_NOT_ALLOWED = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST = 64
"""Characters; some vendors take more, none less."""


def name_on_wire(name: str) -> str:
    """The name as vendors take it."""
    return name.replace(".", "__")


def past_name_on_wire(name: str) -> str:
    """The name of a call of the past; a model may have made it up, and one that is not allowed is always refused."""
    return _NOT_ALLOWED.sub("_", name_on_wire(name))[:_LONGEST] or "unknown"


class ToolNames:
    """The way back from the wire, for the tools of one request."""

    __slots__ = ("_names",)

    def __init__(self, tools: Iterable[ToolInfo]) -> None:
        """Raises :class:`UsageError` for two tools that share a name on the wire."""
        self._names: dict[str, str] = {}
        for tool in tools:
            wire = name_on_wire(tool.name)
            other = self._names.setdefault(wire, tool.name)
            if other != tool.name:
                raise UsageError(f"The tools {other!r} and {tool.name!r} are both {wire!r} on the wire. Rename one.")

    def read(self, wire: str) -> str:
        """The tool's name; a name that was not offered is turned back by the rule, so that messages read well."""
        found = self._names.get(wire)
        return wire.replace("__", ".", 1) if found is None else found
