"""A document: a statechart as text, YAML or SCXML, read into the plain mapping that charts are made from."""

from __future__ import annotations

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import ManifestErrors, PlanInvalid
from agentflow_planner_fsm._reading import DUPLICATE, SCHEMA, TOO_LARGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from typing import Any

LARGEST = 64 * 2**20
"""Octets of a file, and characters of a text."""


def read_document(source: Mapping[str, Any] | str | os.PathLike[str]) -> Mapping[str, Any]:
    """The document in a mapping, a text or a file.

    A text that begins with ``<`` is SCXML, another one with more than one line, ``:`` and a blank or ``{`` is YAML, and
    else it is the path of a file; so is every ``os.PathLike``. Of a manifest of ``kind: Plan`` it is ``spec.document``.

    Raises:
        PlanInvalid: the text cannot be read, holds something that is refused, or is too large.
        OSError: the file cannot be read.
    """
    if isinstance(source, dict):
        return _inner(source)
    if isinstance(source, str):
        text = source.lstrip("\ufeff \t\r\n")
        if not text or text.startswith(("<", "{")) or "\n" in text or ": " in text:
            return read_text(source)
    if not isinstance(source, str) and not hasattr(source, "__fspath__"):
        raise TypeError(f"A document is a mapping, a text or a path, not {type(source).__name__}.")
    return _of_file(source)  # type: ignore[arg-type]  # a path


def read_text(source: str) -> Mapping[str, Any]:
    """The document in a text that may come from anywhere: it is never taken as the path of a file.

    Raises:
        PlanInvalid: the text cannot be read, holds something that is refused, or is too large.
    """
    text = source.lstrip("\ufeff \t\r\n")
    if not text:
        raise _invalid("statechart", "The text is empty; expected a mapping as the document of a statechart.")
    return _of_text(text if text.startswith("<") else source, "statechart")


def _of_file(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    from pathlib import Path  # lazy: only where a file is read

    file = Path(path)
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except ValueError as error:  # a path that no system has
        raise _invalid("statechart", f"{str(path)[:80]!r} is no path of a file: {error}.") from None
    if len(content) > LARGEST:
        raise _invalid(file.name, f"The file has more than {LARGEST:,} octets.", TOO_LARGE)
    if content[:1] == b"<" or content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" or b"<\x00" in content[:6]:
        from agentflow_planner_fsm._scxml_reading import read_scxml  # lazy: only for SCXML

        return read_scxml(content, file.stem)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _invalid(file.name, f"The file is not UTF-8: {error}.") from None
    return _of_text(text, file.stem)


def _of_text(text: str, name: str) -> Mapping[str, Any]:
    if len(text) > LARGEST:
        raise _invalid(name, f"The text has more than {LARGEST:,} characters.", TOO_LARGE)
    if text.startswith("<"):
        from agentflow_planner_fsm._scxml_reading import read_scxml  # lazy: only for SCXML

        return read_scxml(text, name)
    document = _of_yaml(text, name)
    if not isinstance(document, dict):
        raise _invalid(name, "Expected a mapping as the document of a statechart.")
    return _inner(document)


def _inner(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document itself, that of a manifest, or the text of another format that stands in it."""
    if set(document) <= {"source", "file"} and isinstance(document.get("source"), str):
        name = str(document.get("file", "statechart")).rpartition("/")[2].partition(".")[0]
        return _of_text(document["source"].lstrip("\ufeff \t\r\n"), name)
    if document.get("kind") == "Plan" and isinstance(document.get("spec"), dict):
        inner = document["spec"].get("document")
        if isinstance(inner, dict):
            about = document.get("metadata")
            title = about.get("name") if isinstance(about, dict) else None
            return {"name": title, **inner} if isinstance(title, str) else inner
    return document


def _of_yaml(text: str, name: str) -> Any:
    from agentflow_kernel.manifest import load_yaml  # lazy: imports yaml

    try:
        return load_yaml(text, name)
    except ManifestErrors as error:
        found = [PlanFinding(DUPLICATE if "twice" in str(each) else SCHEMA, str(each)) for each in error.findings]
        raise PlanInvalid(name, found) from None


def _invalid(name: str, text: str, code: str = SCHEMA) -> PlanInvalid:
    return PlanInvalid(name, [PlanFinding(code, text)])


class Folder:
    """The documents in one folder, by file name; read when they are asked for."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    @classmethod
    def beside(cls, source: object) -> Mapping[str, Any] | None:
        """Those beside a document, where that is a file."""
        from pathlib import Path  # lazy: only for documents from files

        if isinstance(source, str) and ("\n" in source or len(source) > 4_096):
            return None
        if not isinstance(source, str) and not hasattr(source, "__fspath__"):
            return None
        file = Path(source)
        return cls(str(file.parent)) if file.is_file() else None  # type: ignore[return-value]  # has what is used of it

    def get(self, name: str) -> Mapping[str, Any] | None:
        """The document in the file of this name, ``None`` where there is none."""
        file = self._file(name)
        return None if file is None else _of_file(file)

    def text(self, name: str) -> str | None:
        """The text in the file of this name, ``None`` where there is none."""
        file = self._file(name)
        if file is None:
            return None
        with open(file, encoding="utf-8", errors="replace") as stream:
            return stream.read(LARGEST)

    def _file(self, name: str) -> str | None:
        from pathlib import Path  # lazy: only for documents from files

        file = Path(self.path, name)
        return str(file) if name and file.name == name and file.is_file() else None
