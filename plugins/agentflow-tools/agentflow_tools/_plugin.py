"""The hooks of this distribution."""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import ToolsetSpec
from agentflow_kernel.hookspecs import hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@hookimpl
def agentflow_tools() -> Sequence[ToolsetSpec]:
    """The toolset `files`."""
    return (
        ToolsetSpec(
            "files",
            "agentflow_tools.files:Files",
            "agentflow_tools.settings:FilesSettings",
            capabilities=("read", "list", "search"),
            summary="Reads, lists and searches files below one root folder and never leaves it.",
        ),
    )
