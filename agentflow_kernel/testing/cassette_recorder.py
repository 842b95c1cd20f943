"""A recorder: notes each call as it is made, and turns it into an entry of a cassette when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_kernel.errors import UsageError
from agentflow_kernel.testing.cassette_file import CassetteFile, Entry
from agentflow_kernel.testing.cassette_outcomes import error_json, plain

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.testing.cassette_file import Kind
    from agentflow_kernel.testing.cassette_redaction import Redactor


class Recorder:
    """Entries stand in the order in which the calls began. Nothing is written before the end."""

    def __init__(self, path: str, redactor: Redactor) -> None:
        self.path = path
        self.file = CassetteFile()
        self.failure: Exception | None = None
        """What could not be recorded, first of all."""
        self._redactor = redactor

    def take(self, kind: Kind, name: str, call: str, request: object) -> Take:
        """Begin to record a call. Raises :class:`NotSerialisable` for a request that is not JSON."""
        entry = Entry(kind, name, call, self.snapshot(request, f"{name}.{call}"))
        self.file.entries.append(entry)
        return Take(self, entry)

    def snapshot(self, value: object, what: str) -> JSON:
        """A copy as JSON; the recording fails where there is none, since it would not replay what happened."""
        try:
            return plain(value, what)
        except UsageError as error:
            self.failure = self.failure or error
            raise

    def add_toolset(self, name: str, tools: JSON) -> None:
        """Put the tools of a toolset into the header; raises :class:`UsageError` for another set of the same name."""
        _add(self.file.toolsets, name, self.snapshot(tools, name), "toolset")

    def add_provider(self, name: str, kind: str) -> None:
        """Put a provider into the header; raises :class:`UsageError` for one of another class with the same name."""
        known = self.file.providers.setdefault(name, {"class": kind, "models": []})
        if known["class"] != kind:
            raise UsageError(f"This cassette has another provider {name!r}, of {known['class']}. Give each its name.")

    def add_model(self, name: str, model: str) -> None:
        """Put a model that answered into the header."""
        models = self.file.providers[name]["models"]
        if isinstance(models, list) and model and model not in models:
            models.append(model)
            models.sort()

    def to_text(self) -> str:
        """The file's text, without the secrets known by now."""
        self._redactor.take_environment()
        return self.file.to_text(self._redactor)


def _add(known: dict[str, dict[str, JSON]], name: str, document: JSON, what: str) -> None:
    if not isinstance(document, dict) or known.setdefault(name, document) != document:
        raise UsageError(f"This cassette has another {what} {name!r}. Give each its own name.")


class Take:
    """One call being recorded: a context manager round it, told of the result."""

    __slots__ = ("_recorder", "_entry")

    def __init__(self, recorder: Recorder, entry: Entry) -> None:
        self._recorder = recorder
        self._entry = entry

    def piece(self, text: str) -> None:
        """A piece of the stream has come."""
        self._entry.pieces.append(text)

    def result(self, value: object) -> None:
        """The call has ended with a result. Raises :class:`NotSerialisable` for one that is not JSON."""
        self._entry.result = self._recorder.snapshot(value, f"{self._entry.name}.{self._entry.call}")
        self._entry.ended = "result"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._entry.ended == "result":
            return  # what its reader does after the last piece of a stream is no part of the call
        if isinstance(error, Exception):
            self._entry.error = error_json(error)
            self._entry.ended = "error"
        elif error is None:
            self._entry.ended = "nothing"
        elif isinstance(error, GeneratorExit):
            self._entry.ended = "closed"
