"""Settings of the journal, as manifests give them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class JournalSettings(BaseModel):
    """Settings of the ``leveldb`` journal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = Field(
        default=None,
        min_length=1,
        description="The folder, relative to the manifest's folder; else ``journal.leveldb`` in the state folder.",
    )

    least_free: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="The share of the disk that must be free for a new run to begin; runs that have begun go on.",
    )

    commit_in_loop: bool = Field(
        default=True,
        description="Whether a run that is alone with a fast disk may commit without leaving the event loop.",
    )

    accept_loss: bool = Field(
        default=False,
        description="Open a store although records are missing of which nobody can say to which run they belonged.",
    )
