"""Settings of the source `file`: which file, and what counts as text."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator


class FileSettings(BaseModel):
    """Which file is read, and what it may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    path: str = Field(min_length=1)
    """The file; relative to the manifest's folder. Links are followed."""

    max_line_bytes: int = Field(default=16_777_216, ge=65_536)
    """Longest line, in bytes without its line feed; a longer one is an error that names it."""

    encoding: str = "utf-8"
    """How the bytes stand for characters. ASCII must be itself in it, so that a line feed is one byte."""

    @field_validator("encoding")
    @classmethod
    def _keeps_line_feeds(cls, value: str) -> str:
        try:
            usable = "A\n".encode(value) == b"A\n"
        except LookupError:
            usable = False
        if not usable:
            message = f"{value!r} is no encoding that leaves ASCII as it is, such as utf-8, latin-1 or cp1252"
            raise ValueError(message)
        return value
