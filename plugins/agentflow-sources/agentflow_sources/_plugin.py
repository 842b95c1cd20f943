"""The hooks of this distribution."""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import SourceSpec
from agentflow_kernel.hookspecs import hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@hookimpl
def agentflow_sources() -> Sequence[SourceSpec]:
    """The sources `file`, `folder`, `stdin` and `cron`."""
    return (
        SourceSpec(
            "file",
            "agentflow_sources.file:create_file",
            "agentflow_sources.settings:FileSettings",
            capabilities=("finite", "follow"),
            summary="Reads one file to its end and tells of it in one event, or follows it and tells of its lines.",
        ),
        SourceSpec(
            "folder",
            "agentflow_sources.folder:FolderSource",
            "agentflow_sources.settings:FolderSettings",
            capabilities=("finite", "follow"),
            summary="Reads each file of a folder once, and waits for new ones where that is wanted.",
        ),
        SourceSpec(
            "stdin",
            "agentflow_sources.lines:read_stdin",
            "agentflow_sources.settings:StdinSettings",
            capabilities=("finite",),
            summary="Reads standard input to its end and tells of its lines.",
        ),
        SourceSpec(
            "cron",
            "agentflow_sources.cron:CronSource",
            "agentflow_sources.settings:CronSettings",
            summary="Tells of the time, by a cron expression in a time zone.",
        ),
    )
