"""Settings of the sources: what is read, and what counts as text."""

from __future__ import annotations

from typing import Annotated, Literal

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


def _keeps_line_feeds(value: str) -> str:
    try:
        usable = "A\n".encode(value) == b"A\n"
    except LookupError:
        usable = False
    if not usable:
        message = f"{value!r} is no encoding that leaves ASCII as it is, such as utf-8, latin-1 or cp1252"
        raise ValueError(message)
    return value


Encoding = Annotated[str, AfterValidator(_keeps_line_feeds)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class TextSettings(BaseModel):
    """What text may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    max_line_bytes: int = Field(default=16_777_216, ge=65_536)
    """Longest line, in bytes without its line feed; a longer one is an error that names it."""

    encoding: Encoding = "utf-8"
    """How the bytes stand for characters. ASCII must be itself in it, so that a line feed is one byte."""


class LineSettings(TextSettings):
    """How a stream of lines is cut into chunks, and how long these are kept."""

    lines: int = Field(default=1_000, ge=1, le=1_000_000)
    """Most lines of a chunk."""

    every_s: Seconds = 5.0
    """Longest time that a whole line waits for others, in seconds."""

    chunk_bytes: int = Field(default=16_777_216, ge=1)
    """A chunk is cut before it is larger than this, in bytes; one line may be."""

    poll_s: float = Field(default=0.25, gt=0, allow_inf_nan=False)
    """How long to wait where nothing new is there, in seconds."""

    keep_s: Seconds = 604_800.0
    """How long a chunk is kept on disk after it was cut, in seconds: runs that are resumed need it."""


class StdinSettings(LineSettings):
    """How standard input is cut into chunks, and how long these are kept."""

    poll_s: float = Field(default=0.05, gt=0, allow_inf_nan=False)
    """How long to wait where nothing new is there, in seconds."""


class FileSettings(LineSettings):
    """Which file is read, what it may hold, and whether it is followed."""

    path: str = Field(min_length=1)
    """The file; relative to the manifest's folder. Links are followed."""

    follow: bool = False
    """Whether to go on with what is appended, across rotation; the settings below and of chunks need it."""

    must_exist: bool = False
    """Whether a followed file that is not there is an error; else it is waited for."""

    rotation_s: Seconds = 2.0
    """How long nothing must come from a file that was renamed before the new one is read, in seconds."""

    quiet_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Following ends when nothing came for so long, in seconds; null follows until it is stopped."""

    @model_validator(mode="after")
    def _are_of_use(self) -> Self:
        for_following = (LineSettings.model_fields.keys() - TextSettings.model_fields.keys()) | {
            "must_exist",
            "rotation_s",
            "quiet_s",
        }
        idle = sorted(self.model_fields_set & for_following)
        if idle and not self.follow:
            message = f"{', '.join(idle)}: of use only with `follow: true`"
            raise ValueError(message)
        return self


class FolderSettings(TextSettings):
    """Which files of a folder are read, and whether new ones are waited for."""

    path: str = Field(min_length=1)
    """The folder; relative to the manifest's folder."""

    glob: str = Field(default="*", min_length=1)
    """Which files, by their path below the folder: `*.log`, `2026-*/app.log`, `**/*.log`. `*` does not match a dot in
    front of a name. Links are never followed."""

    follow: bool = False
    """Whether to wait for new files, and for new content of known ones."""

    settle_s: Seconds = 2.0
    """How long a file must not have changed before it is read, in seconds."""

    poll_s: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """How long to wait between two looks into the folder, in seconds."""

    unreadable: Literal["fail", "skip"] = "fail"
    """What to do about a file that is no text or may not be read: end with its error, or say so and go on."""

    @field_validator("glob")
    @classmethod
    def _stays_below(cls, value: str) -> str:
        parts = value.split("/")
        if any(part in {"", ".", ".."} for part in parts):
            message = f"{value!r} is no pattern of paths below the folder, such as '*.log' or '**/*.log'"
            raise ValueError(message)
        return value


class CronSettings(BaseModel):
    """When to tell of the time."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    expression: str = Field(min_length=1)
    """Minute, hour, day of month, month and day of week, as in Debian's cron; six fields begin with the second."""

    timezone: str = Field(default="UTC", min_length=1)
    """Name in the IANA time zone database, such as `Europe/Berlin`."""

    missed: Literal["skip", "once", "all"] = "once"
    """What to do about times at which nobody was there: nothing, one event for all, or one event each."""

    max_missed: int = Field(default=1_000, ge=1, le=1_000)
    """Most missed times that are told of or counted, the latest ones."""

    late_s: Seconds = 60.0
    """How late an event may be before its time counts as missed, in seconds."""

    @field_validator("expression")
    @classmethod
    def _is_known(cls, value: str) -> str:
        from datetime import UTC, datetime

        try:
            next(CronSim(value, datetime(2026, 1, 1, tzinfo=UTC)))
        except (CronSimError, StopIteration) as error:
            reason = str(error) or "there is no such time"
            message = f"{value!r} is no cron expression of five or six fields: {reason}"
            raise ValueError(message) from error
        return value
