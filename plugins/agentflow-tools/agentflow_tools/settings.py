"""Settings of the toolset `files`: the root folder, and how much one call may read and answer."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class FilesSettings(BaseModel):
    """What the toolset `files` may see, and the limits of one call. A model cannot change any of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    root: str = Field(default=".", min_length=1)
    """Folder that holds everything the tools can see; relative to the manifest's folder. It must exist at first use."""

    max_bytes: int = Field(default=16_384, ge=4_096, le=16_777_216)
    """Most text in one result, in bytes of UTF-8 before JSON escapes."""

    max_lines: int = Field(default=500, ge=1, le=100_000)
    """Most lines that one `read` gives."""

    max_line_chars: int = Field(default=1_000, ge=80, le=1_000_000)
    """Most characters shown of one line; a longer line is cut and marked."""

    max_matches: int = Field(default=100, ge=1, le=10_000)
    """Most matching lines that one `search` gives; all of them are counted."""

    max_entries: int = Field(default=500, ge=1, le=10_000)
    """Most entries that one `list` gives; all of them are counted."""

    max_search_bytes: int = Field(default=1_073_741_824, ge=4_096)
    """Most bytes of files that one `search` reads."""

    timeout_s: float = Field(default=10.0, gt=0, le=3_600, allow_inf_nan=False)
    """Longest time one call works, in seconds; then it gives what it has and says so."""

    @model_validator(mode="after")
    def _one_line_fits(self) -> Self:
        """A result must hold at least one shown line, whatever its characters (4 bytes each at most)."""
        if self.max_bytes < 4 * self.max_line_chars + 96:
            message = f"max_bytes must be at least 4 x max_line_chars + 96, here {4 * self.max_line_chars + 96}"
            raise ValueError(message)
        return self
