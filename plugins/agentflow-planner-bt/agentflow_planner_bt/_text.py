"""A text: YAML, JSON or XML, or the file with it, read into a document; its size is bounded, errors are findings."""

from __future__ import annotations

import os
from typing import Any

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import PlanInvalid

MAX_TEXT = 16_000_000
"""Characters of a document."""
_FILES = (".yaml", ".yml", ".json", ".xml")


def document_of(source: Any) -> Any:
    """The document that a mapping, a text, or the path of a file gives; a text with ``<`` at its beginning is XML.

    Raises:
        PlanInvalid: the text cannot be read.
        OSError: the file cannot be read.
    """
    if isinstance(source, os.PathLike) or (isinstance(source, str) and _is_file(source)):
        with open(source, encoding="utf-8") as file:
            return document_of_text(file.read(MAX_TEXT + 1), os.fspath(source))
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
    return _from_yaml(source)


def _is_file(text: str) -> bool:
    return "\n" not in text and text.endswith(_FILES)


def _from_yaml(text: str) -> Any:
    import yaml  # lazy: 27 ms, only for texts

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506 -- both are safe loaders
    except yaml.YAMLError as error:
        raise refused(f"This is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise refused("The document is nested too deeply.", code="P011") from None


def refused(text: str, *, code: str = "P001", name: str = "") -> PlanInvalid:
    """The error of a text that is no document."""
    return PlanInvalid(name, [PlanFinding(code, text)])
