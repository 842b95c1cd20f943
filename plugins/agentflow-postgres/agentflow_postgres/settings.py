"""Settings of the journal, as manifests give them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class JournalSettings(BaseModel):
    """Settings of the ``postgres`` journal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dsn: SecretStr | None = Field(
        default=None,
        description="``postgresql://user:secret@host:port/name?sslmode=verify-full``; else ``AGENTFLOW_POSTGRES_DSN``.",
    )

    db_schema: str = Field(
        default="agentflow",
        alias="schema",
        pattern="^[a-z_][a-z0-9_]*$",
        max_length=48,
        description="Where the tables are; made when it is not there.",
    )

    pool_size: int = Field(
        default=4,
        ge=1,
        le=100,
        description="Connections for reading, at most; one more writes and one more keeps the lease.",
    )

    lease_s: float = Field(
        default=15.0, ge=1, le=3600, description="How long a worker that does not answer keeps its runs."
    )

    outage_s: float = Field(default=30.0, ge=0, le=3600, description="How long a call waits for a server that is away.")

    statement_timeout_s: float = Field(
        default=30.0, gt=0, le=3600, description="How long a statement may take, at the server and here."
    )
