"""The tools as a model sees them: names, descriptions and the JSON Schemas of their arguments."""

from __future__ import annotations

from agentflow_kernel.contracts.tool import Tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON
    from agentflow_tools.settings import FilesSettings

DEFAULT_LINES = 200
DEFAULT_MATCHES = 50
DEFAULT_ENTRIES = 200

_PATH = "relative to the root, with forward slashes; absolute paths and '..' are refused"


def make_tools(settings: FilesSettings) -> tuple[Tool, ...]:
    """The tools `read`, `list` and `search`, with the limits of these settings in their descriptions."""
    return (
        Tool("read", _read_text(settings), _schema(_READ, "path"), effect="pure"),
        Tool("list", _list_text(settings), _schema(_LIST), effect="pure"),
        Tool("search", _search_text(settings), _schema(_SEARCH, "pattern"), effect="pure"),
    )


def _schema(properties: dict[str, JSON], *required: str) -> dict[str, JSON]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_READ: dict[str, JSON] = {
    "path": {"type": "string", "description": f"The file, {_PATH}."},
    "start_line": {
        "type": "integer",
        "default": 1,
        "description": "First line, counted from 1. Negative counts from the end: -50 begins 50 lines before it.",
    },
    "max_lines": {"type": "integer", "minimum": 1, "default": DEFAULT_LINES, "description": "How many lines."},
}

_LIST: dict[str, JSON] = {
    "path": {"type": "string", "default": ".", "description": f"The folder, {_PATH}; '.' is the root."},
    "pattern": {
        "type": "string",
        "default": "*",
        "maxLength": 256,
        "description": "Only names that fit this shell pattern, such as '*.log'.",
    },
    "max_entries": {"type": "integer", "minimum": 1, "default": DEFAULT_ENTRIES, "description": "How many entries."},
}

_SEARCH: dict[str, JSON] = {
    "pattern": {"type": "string", "description": "The text to look for within each line."},
    "path": {
        "type": "string",
        "default": ".",
        "description": f"One file, or a folder to look through with all below it, {_PATH}; '.' is the root.",
    },
    "regex": {
        "type": "boolean",
        "default": False,
        "description": r"Take the pattern as a regular expression: . [] () | * + ? {m,n} ^ $ \b \d \w \s, "
        "no references to groups and no look-around.",
    },
    "ignore_case": {"type": "boolean", "default": False, "description": "Take capital and small letters as equal."},
    "files": {
        "type": "string",
        "default": "*",
        "maxLength": 256,
        "description": "In a folder, only files whose names fit this shell pattern, such as '*.log'.",
    },
    "max_matches": {"type": "integer", "minimum": 1, "default": DEFAULT_MATCHES, "description": "How many matches."},
}


def _read_text(settings: FilesSettings) -> str:
    return (
        "Read lines of a text file. Gives `text`, the numbers of its first and last line, and `next_line`, the "
        "`start_line` that goes on (null at the end; then `total_lines` is known). "
        f"At most {settings.max_lines} lines and {settings.max_bytes} bytes at once; a line is cut after "
        f"{settings.max_line_chars} characters and says so."
    )


def _list_text(settings: FilesSettings) -> str:
    return (
        "List a folder in the order of names: each entry's name, kind (file, folder, link, other), size in bytes and "
        f"time of last change. At most {settings.max_entries} entries; `total_entries` counts all that fit."
    )


def _search_text(settings: FilesSettings) -> str:
    return (
        "Find the lines that hold a text, in one file or in all files below a folder. Gives path, line number and text "
        f"of the first matches, at most {settings.max_matches}; `matching_lines` counts all. Use the line number as "
        "`start_line` of read to see what stands around a match."
    )
