"""The settings models of the stand-in plugin."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class LinesSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: str


class CabinetSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    root: str
