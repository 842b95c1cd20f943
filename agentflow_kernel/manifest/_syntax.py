"""A syntax error: what the YAML parser could not read, where, and what usually helps."""

from __future__ import annotations

import re

import yaml
from yaml.reader import ReaderError

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def explain(error: Exception, text: str) -> tuple[tuple[int, int], str, str]:
    """Line and column, the problem, and a hint (may be empty) for an exception of either YAML parser."""
    if isinstance(error, ReaderError):
        return _character(text)
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return _marked(error, text)
    return (1, 1), f"This is not YAML: {error}.", ""


def _character(text: str) -> tuple[tuple[int, int], str, str]:
    found = _UNPRINTABLE.search(text)
    at = found.start() if found else 0
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    code = f"U+{ord(text[at]):04X}" if text else "unknown"
    hint = "This looks like a binary file or UTF-16." if found and found[0] == "\0" else ""
    return (line, column), f"Character {code} is not allowed in YAML.", hint


def _marked(error: yaml.MarkedYAMLError, text: str) -> tuple[tuple[int, int], str, str]:
    mark = error.problem_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    row, at = (mark.line, mark.column) if mark is not None else (0, 0)
    if line[at : at + 1] == "\t" and not line[:at].strip(" -?:"):
        return (row + 1, at + 1), "A tab indents this line.", "YAML allows only blanks for indentation."
    problem = f"This is not YAML: {error.problem}"
    if error.context and error.context_mark is not None and error.context_mark.line != row:
        problem += f", {error.context} that begins at {error.context_mark.line + 1}:{error.context_mark.column + 1}"
    return (row + 1, at + 1), f"{problem}.", _hint(error.problem or "", line[at : at + 1])


def _hint(problem: str, character: str) -> str:
    if problem.startswith("mapping values are not allowed"):
        return "Quote text that holds ': ', or check the indentation."
    if "cannot start any token" in problem and character:
        return f"Quote text that begins with {character!r}."
    if problem.startswith(("did not find expected key", "expected <block end>", "did not find expected '-'")):
        return "Check the indentation of this line against the lines before it."
    if "unexpected end of stream" in problem:
        return "A quote is not closed."
    if "',' or" in problem:
        return "A bracket or brace is not closed, or a comma is missing."
    return ""
