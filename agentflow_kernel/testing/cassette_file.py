"""A cassette file: JSON with a header and one entry a call, read with all its faults named, written whole or not."""

from __future__ import annotations

import contextlib
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, cast

from agentflow_kernel._version import __version__
from agentflow_kernel.contracts.provider import ModelReply
from agentflow_kernel.errors import NewerSchema, ProtocolViolation, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.testing.cassette_redaction import Redactor

FORMAT = "agentflow-cassette"
VERSION = 1

Kind = Literal["provider", "tool"]


class Entry:
    """One recorded call.

    ``call`` is ``complete``, ``stream`` or the local name of a tool, ``request`` what it was given. It ended with a
    ``result``, with an ``error``, or without either: ``ended`` is then ``cancelled``, ``closed`` for a stream whose
    reader wanted no more, or ``nothing`` for one that ended without its reply. ``pieces`` are the texts of a stream.
    """

    __slots__ = ("kind", "name", "call", "request", "pieces", "result", "error", "ended")

    def __init__(self, kind: Kind, name: str, call: str, request: JSON) -> None:
        self.kind = kind
        self.name = name
        self.call = call
        self.request = request
        self.pieces: list[str] = []
        self.result: JSON = None
        self.error: dict[str, JSON] | None = None
        self.ended: Literal["result", "error", "cancelled", "closed", "nothing"] = "cancelled"

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}, {self.call}"

    def to_json(self, redactor: Redactor) -> dict[str, JSON]:
        """The entry as it is written, without secrets."""
        document: dict[str, JSON] = {"kind": self.kind, "name": self.name, "call": self.call}
        document["request"] = redactor.redact(self.request)
        if self.call == "stream" and self.kind == "provider":
            document["pieces"] = redactor.redact_pieces(self.pieces)
        if self.ended == "result":
            document["result"] = redactor.redact(self.result)
        elif self.ended == "error":
            document["error"] = redactor.redact(self.error)
        else:
            document["ended"] = self.ended
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, JSON]) -> Entry:
        """The entry that :meth:`to_json` wrote; raises ``KeyError``, ``TypeError`` or ``ValueError`` for others."""
        kind, name, call = document["kind"], document["name"], document["call"]
        if kind not in {"provider", "tool"} or not isinstance(name, str) or not isinstance(call, str):
            raise ValueError("kind, name or call is none")
        entry = cls(cast("Kind", kind), name, call, cast("dict[str, JSON]", document["request"]))
        entry.pieces = [str(piece) for piece in cast("list[JSON]", document.get("pieces", []))]
        if "result" in document:
            entry.ended, entry.result = "result", document["result"]
            if kind == "provider":
                ModelReply.from_json(cast("Mapping[str, JSON]", entry.result))
        elif "error" in document:
            entry.ended, entry.error = "error", dict(cast("Mapping[str, JSON]", document["error"]))
            _ = entry.error["class"], entry.error["message"]
        else:
            ended = document["ended"]
            if ended not in {"cancelled", "closed", "nothing"}:
                raise ValueError(f"ended is {ended!r}")
            entry.ended = cast("Literal['cancelled', 'closed', 'nothing']", ended)
        return entry


class CassetteFile:
    """The contents of a cassette: when and with what it was recorded, what was recorded, and the calls.

    ``toolsets`` maps the name of a toolset to its tools by local name; ``providers`` the name of a provider to its
    ``class`` and the ``models`` that were asked.
    """

    __slots__ = ("recorded_at", "toolsets", "providers", "entries")

    def __init__(self) -> None:
        self.recorded_at = 0.0
        self.toolsets: dict[str, dict[str, JSON]] = {}
        self.providers: dict[str, dict[str, JSON]] = {}
        self.entries: list[Entry] = []

    def to_text(self, redactor: Redactor) -> str:
        """The file's text; the same calls give the same text."""
        for entry in self.entries:  # what is found to be secret in the last call is secret in the first one too
            entry.to_json(redactor)
        calls = [entry.to_json(redactor) for entry in self.entries]
        header: dict[str, JSON] = {
            "format": FORMAT,
            "version": VERSION,
            "recorded_at": datetime.fromtimestamp(self.recorded_at, UTC).isoformat(timespec="seconds"),
            "kernel": __version__,
            "providers": {name: redactor.redact(self.providers[name]) for name in sorted(self.providers)},
            "toolsets": {name: redactor.redact(self.toolsets[name]) for name in sorted(self.toolsets)},
        }
        return json.dumps({"header": header, "calls": calls}, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_text(cls, text: str, path: str) -> CassetteFile:
        """The contents of the file at ``path``; raises :class:`ProtocolViolation` and :class:`NewerSchema`."""
        try:
            document = json.loads(text)
            header = document["header"]
            is_cassette, version = header["format"] == FORMAT, header["version"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ProtocolViolation(f"{path!r} is no cassette: {error}. Record it anew.", executed="no") from error
        if not is_cassette or not isinstance(version, int):
            raise ProtocolViolation(f"{path!r} is no cassette: its format is {header['format']!r}.", executed="no")
        if version > VERSION:
            raise NewerSchema(f"Cassette {path!r}", version, VERSION)
        found, place = cls(), "the header"
        try:
            found.recorded_at = datetime.fromisoformat(header["recorded_at"]).timestamp()
            found.providers = {name: dict(each) for name, each in header["providers"].items()}
            found.toolsets = {name: dict(each) for name, each in header["toolsets"].items()}
            for number, call in enumerate(document["calls"], 1):
                place = f"call {number}"
                found.entries.append(Entry.from_json(call))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problem = f"{place} is broken ({type(error).__name__}: {error})"
            raise ProtocolViolation(f"Cassette {path!r}: {problem}. Record it anew.", executed="no") from error
        return found


def read_cassette(path: str) -> CassetteFile:
    """The cassette at ``path``; raises :class:`UsageError` where there is none."""
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError as error:
        raise UsageError(
            f"There is no cassette {path!r} to replay. To record it, set AGENTFLOW_CASSETTE=record and run the test "
            "with the real provider and tools."
        ) from error
    except UnicodeDecodeError as error:
        raise ProtocolViolation(f"{path!r} is no cassette: it is not UTF-8.", executed="no") from error
    return CassetteFile.from_text(text, path)


def write_cassette(path: str, text: str) -> None:
    """Put the text at ``path``, whole or not at all; missing folders are made."""
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    new = f"{path}.{os.getpid()}.new"
    try:
        with open(new, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):  # the fault was that it could not be made
            os.unlink(new)
        raise
