"""A cursor: which content of the file has been told of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agentflow_kernel.errors import InputInvalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from agentflow_kernel.contracts.values import JSON


class Cursor(NamedTuple):
    """The end of a reading and what tells its content from another; only the offset is always known."""

    offset: int
    """Size of what was read, in bytes."""
    device: int | None = None
    inode: int | None = None
    modified_ns: int | None = None
    """Time of last change, in nanoseconds since 1970."""
    sha256: str | None = None

    @classmethod
    def from_json(cls, document: JSON, source: str) -> Cursor | None:
        """The cursor that :meth:`to_json` wrote, or one of an offset alone; `None` is the beginning.

        Raises :class:`InputInvalid`, naming the source, for anything else.
        """
        if document is None:
            return None
        fields = dict(document) if isinstance(document, Mapping) else {}
        numbers = [fields.get(name) for name in ("device", "inode", "modified_ns")]
        offset, sha256 = fields.get("offset"), fields.get("sha256")
        known = set(fields) <= set(cls._fields) and all(number is None or _is_natural(number) for number in numbers)
        if not known or not _is_natural(offset) or not (sha256 is None or isinstance(sha256, str)):
            problem = f"{document!r} is no cursor of this source. Take one that it gave, or none to begin anew."
            raise InputInvalid(f"Cursor of source {source!r}", problem)
        return cls(**fields)  # type: ignore[arg-type]  # each field has just been looked at

    def to_json(self) -> dict[str, JSON]:
        """The cursor as a JSON object."""
        return self._asdict()

    def is_surely_seen(self, status: os.stat_result) -> bool:
        """Whether the file is, by its status alone, as it was: then it need not be read to know that nothing is new."""
        if self.inode is None:
            return status.st_size <= self.offset
        found = (status.st_size, status.st_dev, status.st_ino, status.st_mtime_ns)
        return found == (self.offset, self.device, self.inode, self.modified_ns)


def _is_natural(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
