"""The hooks of this distribution."""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import SourceSpec
from agentflow_kernel.hookspecs import hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@hookimpl
def agentflow_sources() -> Sequence[SourceSpec]:
    """The source `file`."""
    return (
        SourceSpec(
            "file",
            "agentflow_sources.file:FileSource",
            "agentflow_sources.settings:FileSettings",
            capabilities=("finite",),
            summary="Reads one file to its end and tells of it in one event.",
        ),
    )
