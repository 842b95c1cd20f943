"""A spool: the chunks of a stream on disk, each kept as it was cut until nobody needs it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from typing import NamedTuple, cast
from urllib.parse import quote

from agentflow_kernel.contracts.source import SourceItem
from agentflow_kernel.errors import AgentFlowError, ProtocolViolation, StorageUnavailable
from agentflow_kernel.event import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentflow_kernel.contracts.values import JSON

_ORIGIN = "origin"
_LINES, _ENTRY, _UNFINISHED = ".lines", ".json", ".part"


class Chunk(NamedTuple):
    """A chunk on disk: its number, the item that tells of it, and when it was cut."""

    number: int
    item: SourceItem
    spooled_at: float


class Spool:
    """The chunks of one trigger in one folder; one process at a time writes them. All methods block.

    A chunk is two files: the lines, then an entry with the event and the cursor. It is there when the entry is, and
    both are on disk before :meth:`add` returns. Errors of the disk are :class:`StorageUnavailable`, not executed;
    what was not finished is then removed.
    """

    def __init__(self, state_folder: str, source: str) -> None:
        self.folder = spool_folder(state_folder, source)
        self.numbers: list[int] = []
        """The chunks that are there, in order."""
        self.identity = ""
        """Which spool this is: a folder that was removed and made anew gives other event ids."""
        self._source = source

    def open(self) -> None:
        """Make the folder or look what is in it; what a crash left unfinished is removed."""
        with self._storage():
            self.folder = os.path.abspath(self.folder)
            os.makedirs(self.folder, exist_ok=True)
            names = set(os.listdir(self.folder))
            entries = [name.removesuffix(_ENTRY) for name in names if name.endswith(_ENTRY)]
            self.numbers = sorted(int(number) for number in entries if number.isdigit())
            known = {self._name(number, _LINES) for number in self.numbers}
            for name in names:
                if name.endswith(_UNFINISHED) or (name.endswith(_LINES) and name not in known):
                    os.unlink(os.path.join(self.folder, name))
            path = os.path.join(self.folder, "identity")
            if "identity" not in names:
                self._put("identity", secrets.token_hex(8).encode())
                self._settle()
            with open(path, encoding="ascii") as file:
                self.identity = file.read()

    def begin(self, cursor: Mapping[str, JSON]) -> None:
        """Put down where the reading begins, before there is a chunk."""
        with self._storage():
            self._put(_ORIGIN, json.dumps(dict(cursor)).encode())
            self._settle()

    def origin(self) -> JSON:
        """Where the reading began, if that is known."""
        path = os.path.join(self.folder, _ORIGIN)
        with self._storage():
            if not os.path.exists(path):
                return None
            with open(path, "rb") as file:
                return cast("JSON", json.loads(file.read()))

    def path_of(self, number: int) -> str:
        """Where the lines of a chunk stand."""
        return os.path.join(self.folder, self._name(number, _LINES))

    def load(self, number: int) -> Chunk:
        """A chunk that was added before. Raises :class:`ProtocolViolation` for an entry that is damaged."""
        path = os.path.join(self.folder, self._name(number, _ENTRY))
        with self._storage(), open(path, "rb") as file:
            text = file.read()
        try:
            entry = json.loads(text)
            event = Event.from_json(json.dumps(entry["event"]).encode())
            return Chunk(number, SourceItem(event, entry["cursor"]), float(entry["spooled_at"]))
        except (ValueError, KeyError, TypeError, AgentFlowError) as error:
            reason = f"Spool entry {path!r} of source {self._source!r} is damaged. Restore it, or remove the folder: "
            raise ProtocolViolation(f"{reason}what it holds is then read or lost anew.", executed="no") from error

    def add(self, number: int, lines: bytes, event: Event, cursor: Mapping[str, JSON], spooled_at: float) -> Chunk:
        """Write a chunk; it is durable when this returns, or not there at all."""
        item = SourceItem(event, cast("JSON", cursor))
        entry = {"event": json.loads(event.to_json()), "cursor": dict(cursor), "spooled_at": spooled_at}
        with self._storage():
            self._put(self._name(number, _LINES), lines)
            try:
                self._put(self._name(number, _ENTRY), json.dumps(entry).encode())
            except OSError:
                self._remove(self._name(number, _LINES))
                raise
            self._settle()
        self.numbers.append(number)
        return Chunk(number, item, spooled_at)

    def forget(self, acknowledged: int, before: float) -> None:
        """Remove the oldest chunks up to an acknowledged one that were cut before a moment; the newest one stays."""
        while len(self.numbers) > 1 and self.numbers[0] <= acknowledged:
            if self.load(self.numbers[0]).spooled_at > before:
                return
            number = self.numbers.pop(0)
            with self._storage():
                self._remove(self._name(number, _ENTRY))  # the entry first: lines without it are nothing
                self._remove(self._name(number, _LINES))

    def _put(self, name: str, content: bytes) -> None:
        """A whole file on disk, or none."""
        path = os.path.join(self.folder, name)
        try:
            with open(path + _UNFINISHED, "wb", buffering=0) as file:
                rest = memoryview(content)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            os.rename(path + _UNFINISHED, path)
        except OSError:
            self._remove(name + _UNFINISHED)
            raise

    def _settle(self) -> None:
        """Have the names on disk too."""
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.folder, name))

    def _storage(self) -> contextlib.AbstractContextManager[None]:
        return storage(self.folder, self._source)

    @staticmethod
    def _name(number: int, suffix: str) -> str:
        return f"{number:012}{suffix}"


def spool_folder(state_folder: str, source: str) -> str:
    """Where a source keeps what it needs again."""
    return os.path.join(state_folder, "spool", quote(source, safe=""))


@contextlib.contextmanager
def storage(folder: str, source: str) -> Iterator[None]:
    """Errors of the disk as the error that says where and what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        text = (
            f"Source {source!r} cannot keep what it reads in {folder!r}: {reason}. Make room there, then start again."
        )
        raise StorageUnavailable(text, executed="no") from error
