"""A text: YAML, JSON or XML, or the file with it, read into a document; its size is bounded, errors are findings."""

from __future__ import annotations

import os
from typing import Any

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import ManifestErrors, PlanInvalid

MAX_TEXT = 16_000_000
"""Characters of a text, octets of a file."""
_FILES = (".yaml", ".yml", ".json", ".xml")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def document_of(source: Any) -> Any:
    """The document that a mapping, a text, or the path of a file gives; a text with ``<`` at its beginning is XML.

    Raises:
        PlanInvalid: the text cannot be read.
        OSError: the file cannot be read.
    """
    if isinstance(source, os.PathLike) or (isinstance(source, str) and _is_file(source)):
        return _document_of_file(os.fspath(source))
    return document_of_text(source, None) if isinstance(source, str) else source


def document_of_text(source: str, file: str | None) -> Any:
    """The document that a text gives; ``file`` is where it was read from.

    Raises:
        PlanInvalid: the text cannot be read.
    """
    if len(source) > MAX_TEXT:
        raise refused(f"The document has more than {MAX_TEXT:,} characters.", code="P011")
    if source.lstrip("\ufeff \t\r\n")[:1] == "<":
        from agentflow_planner_bt.btcpp import read_xml  # lazy: only for XML

        return read_xml(source, file=file)
    return _from_yaml(source, file)


def read_file(path: str) -> bytes:
    """The octets of a file.

    Raises:
        PlanInvalid: there are too many.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read(MAX_TEXT + 1)
    if len(content) > MAX_TEXT:
        raise refused(f"The file {os.path.basename(path)!r} has more than {MAX_TEXT:,} octets.", code="P011")
    return content


def _document_of_file(path: str) -> Any:
    """XML says itself how it is encoded; all else is UTF-8."""
    content = read_file(path)
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" or content.startswith(_UTF_16):
        from agentflow_planner_bt.btcpp import read_xml  # lazy: only for XML

        return read_xml(content, file=path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refused(f"The file {os.path.basename(path)!r} is not UTF-8: {error}.") from None
    return _from_yaml(text, path)


def _is_file(text: str) -> bool:
    return "\n" not in text and text.endswith(_FILES)


def _from_yaml(text: str, file: str | None) -> Any:
    from agentflow_kernel.manifest import load_yaml  # lazy: imports yaml

    try:
        return load_yaml(text, "the text" if file is None else os.path.basename(file))
    except ManifestErrors as error:
        raise PlanInvalid("", [PlanFinding(_code(str(each)), str(each)) for each in error.findings]) from None


def _code(finding: str) -> str:
    """The code of what was found in a YAML text: too large, a key twice, or no YAML of ours."""
    return "P011" if " more than " in finding else "P002" if " twice" in finding else "P001"


def refused(text: str, *, code: str = "P001", name: str = "") -> PlanInvalid:
    """The error of a text that is no document."""
    return PlanInvalid(name, [PlanFinding(code, text)])
