"""The plugin module: what this distribution offers, named and not yet loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_kernel.contracts.plugin import SourceSpec
from agentflow_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence


@hookimpl
def agentflow_sources() -> Sequence[SourceSpec]:
    """The source `webhook-files`."""
    return (
        SourceSpec(
            "webhook-files",
            "agentflow_webhook_files.source:WebhookFiles",
            "agentflow_webhook_files.settings:WebhookFilesSettings",
            summary="Tells of each webhook delivery that was stored as a JSON file, by its kind and action.",
        ),
    )
