"""Settings that every provider over HTTP has; a vendor's own model derives from them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from agentflow_http.address import checked_address


class HttpSettings(BaseModel):
    """Where the service is, which key opens it, and how long to wait. Derive from it and set the vendor's defaults."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True, validate_default=True
    )

    allow_http: bool = False
    """Whether `http` may leave this machine, key and all. For networks that you trust as you trust yourself."""

    base_url: str
    """Address of the service without the path of the protocol; `https`, or `http` on this machine."""

    api_key: SecretStr | None = None
    """The key, in manifests written `${NAME_OF_THE_VARIABLE}`; without it `api_key_env` is read."""

    api_key_env: str
    """Environment variable that holds the key, read at each call; empty for a service that wants no key."""

    model: str
    """Model asked where an agent names none: the vendor's name, or an alias of the plugin's table."""

    connect_timeout_s: float = Field(default=10.0, gt=0, le=600, allow_inf_nan=False)
    """Longest wait for a connection, in seconds."""

    read_timeout_s: float = Field(default=60.0, gt=0, le=3_600, allow_inf_nan=False)
    """Longest silence of the service, in seconds, before and within an answer."""

    call_timeout_s: float = Field(default=600.0, gt=0, le=86_400, allow_inf_nan=False)
    """Longest time of one call, in seconds, however steadily the answer drips in."""

    repair_turns: int = Field(default=1, ge=0, le=1)
    """How often a model may mend an answer that breaks the output schema; with 0 the answer is given on unchecked."""

    extra_headers: dict[str, SecretStr] = {}
    """Further headers for each request, such as those of a gateway; treated as secrets."""

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, text: str, others: ValidationInfo) -> str:
        return checked_address(text, allow_http=bool(others.data.get("allow_http")))
