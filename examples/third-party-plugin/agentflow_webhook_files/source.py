"""The source `webhook-files`: an event for each stored delivery, in the order of the paths."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import anyio.to_thread
from agentflow_kernel.contracts.source import SourceItem
from agentflow_kernel.errors import InputInvalid, PathRefused, StorageUnavailable, UsageError
from agentflow_kernel.event import Event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.values import JSON

    from agentflow_webhook_files.settings import WebhookFilesSettings

SUFFIX: Final = ".json"


class WebhookFiles:
    """Reads `<kind>/<name>.json` below a folder; ends after the last one.

    The id of an event is made from path and content: a delivery that is told of again finds the run that it has
    started. The cursor is the path: what is stored later has to sort behind it, as a name does that begins with the
    time.
    """

    continues = True
    """A new firing goes on behind the last file."""

    def __init__(self, settings: WebhookFilesSettings, context: PluginContext) -> None:
        self._settings = settings
        self._context = context
        self._closed = False

    async def events(self, cursor: JSON = None) -> AsyncIterator[SourceItem]:
        """One event for each file behind `cursor`.

        Raises `InputInvalid` for a folder that is missing, a file that is no JSON object or too large, and a foreign
        cursor; `PathRefused` for what may not be read; `StorageUnavailable` when the machine fails; `UsageError` after
        `aclose`.
        """
        if self._closed:
            raise UsageError(f"Source {self._context.name!r} has been closed. Make a new one.")
        after = self._place(cursor)
        for path in await anyio.to_thread.run_sync(self._list):
            if path <= after:
                continue
            if self._closed:
                return
            yield await anyio.to_thread.run_sync(self._read, path)

    async def aclose(self) -> None:
        """End the iterator before the next file; may be called twice."""
        self._closed = True

    def _place(self, cursor: JSON) -> str:
        """The path that a cursor stands for; the empty one is before all others."""
        if cursor is None:
            return ""
        after = cursor.get("after") if isinstance(cursor, Mapping) else None
        if not isinstance(after, str) or not after.endswith(SUFFIX):
            problem = f"{str(cursor)[:80]!r} is none of this source. Take one that it gave, or none to begin anew."
            raise InputInvalid(f"Cursor of source {self._context.name!r}", problem)
        return after

    def _root(self) -> str:
        return os.path.abspath(os.path.join(self._context.folder, self._settings.path))

    def _list(self) -> list[str]:
        """The paths of the deliveries below the folder, sorted. Blocks."""
        root = self._root()
        try:
            with os.scandir(root) as entries:
                kinds = [one.name for one in entries if one.is_dir(follow_symlinks=False) and _is_word(one.name)]
            found = [f"{kind}/{name}" for kind in kinds for name in os.listdir(os.path.join(root, kind))]
        except FileNotFoundError as error:
            raise InputInvalid(f"Source {self._context.name!r}", f"there is no folder {root!r}.") from error
        except OSError as error:
            raise self._unreadable(root, error) from error
        return sorted(path for path in found if path.endswith(SUFFIX) and path.isprintable())

    def _read(self, path: str) -> SourceItem:
        """The event for one file. Blocks; a pipe or device is refused, not waited for."""
        place = os.path.join(self._root(), path)
        try:
            descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise PathRefused(place, "it is no plain file. Take it out of the folder.")
                content = file.read(self._settings.max_bytes + 1)
        except OSError as error:
            raise self._unreadable(place, error) from error
        return self._item(path, content)

    def _item(self, path: str, content: bytes) -> SourceItem:
        if len(content) > self._settings.max_bytes:
            problem = f"it is larger than {self._settings.max_bytes} bytes. Raise `max_bytes`, or remove it."
            raise InputInvalid(f"Delivery {path!r}", problem)
        try:
            payload = json.loads(content, parse_constant=_refuse)
            json.dumps(payload, ensure_ascii=False).encode()  # a lone surrogate cannot be sent on
        except (ValueError, RecursionError) as error:
            raise InputInvalid(f"Delivery {path!r}", "it is no JSON. Remove it, or store it again.") from error
        if not isinstance(payload, dict):
            raise InputInvalid(f"Delivery {path!r}", "it is no JSON object, which every delivery is.")
        kind, action = path.partition("/")[0], payload.get("action")
        parts = [self._settings.prefix, kind, *([str(action)] if _is_word(action) else [])]
        event = Event(
            ".".join(parts),
            payload,
            id=hashlib.sha256(path.encode() + b"\n" + content).hexdigest()[:32],
            source=_repository(payload) or "urn:agentflow-webhook-files",
            subject=path,
        )
        return SourceItem(event, {"after": path})

    def _unreadable(self, path: str, error: OSError) -> Exception:
        """The error to raise for one of the operating system."""
        if isinstance(error, PermissionError) or error.errno == errno.ELOOP:
            return PathRefused(path, "it is a link or may not be read. Give permission, or take it out of the folder.")
        text = f"Source {self._context.name!r} could not read {path!r}: {error.strerror}. See to it, then start again."
        return StorageUnavailable(text, executed="no")


def _repository(payload: Mapping[str, object]) -> str:
    """The address of the repository that a delivery is about, if it has one that an event can carry."""
    repository = payload.get("repository")
    address = repository.get("html_url") if isinstance(repository, dict) else None
    plain = isinstance(address, str) and address.startswith("https://") and address.isascii() and address.isprintable()
    return str(address) if plain else ""


def _is_word(found: object) -> bool:
    """Whether something may be part of an event's type."""
    return isinstance(found, str) and found.isascii() and found.replace("_", "").isalnum() and len(found) <= 64


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
