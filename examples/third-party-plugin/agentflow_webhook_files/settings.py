"""Settings of the source, as manifests give them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class WebhookFilesSettings(BaseModel):
    """Where the deliveries are, and what is taken for one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        min_length=1,
        description="The folder, relative to the manifest's folder; each kind of event has a folder in it.",
    )
    prefix: str = Field(
        default="com.github",
        pattern=r"[a-z0-9]+(\.[a-z0-9-]+)+",
        description="What the types of the events begin with, as in com.github.issues.opened.",
    )
    max_bytes: int = Field(
        default=26_214_400,
        ge=1,
        description="Largest file, in bytes; a larger one is an error that names it.",
    )
