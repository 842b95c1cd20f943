"""The settings models of the stand-in plugin."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, SecretStr


class LinesSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: str


class CabinetSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    root: str


class EchoSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    api_key: SecretStr | None = None
    extra_headers: dict[str, SecretStr] = {}
    model: str = ""
    base_url: str = ""
