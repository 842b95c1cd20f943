"""Settings of the journal and of the memory, as manifests give them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class JournalSettings(BaseModel):
    """Settings of the ``sqlite`` journal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = Field(
        default=None,
        min_length=1,
        description="The file, relative to the manifest's folder; without it ``journal.db`` in the state folder.",
    )

    busy_timeout_s: float = Field(
        default=5.0, ge=0, le=3600, description="How long to wait for another process that is writing."
    )

    commit_in_loop: bool = Field(
        default=True,
        description="Whether a run that is alone with a fast disk may commit without leaving the event loop.",
    )


class MemorySettings(BaseModel):
    """Settings of the ``sqlite`` memory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = Field(
        default=None,
        min_length=1,
        description="The file, relative to the manifest's folder; without it ``memory.db`` in the state folder.",
    )

    busy_timeout_s: float = Field(
        default=5.0, ge=0, le=3600, description="How long to wait for another process that is writing."
    )

    write_keys_kept_s: float = Field(
        default=30 * 86_400.0,
        gt=0,
        description="How long a ``write_key`` is remembered; the same key later is a new write.",
    )
