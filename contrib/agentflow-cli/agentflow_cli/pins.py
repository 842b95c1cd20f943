"""A pin: one line of `[plugins.allow]` in `agentflow.toml`, with the version and the hash of what is installed.

The file is edited line by line, so that comments, order and everything else in it stay. What comes out is read again,
and is written only if it says what the file said before and the pins.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import tomllib
from typing import TYPE_CHECKING, Any

from agentflow_kernel.errors import UsageError
from agentflow_kernel.settings import normalise

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER = "[plugins.allow]"
_TABLE = re.compile(r"^\s*\[")
_ALLOW = re.compile(r"^\s*\[\s*plugins\s*\.\s*allow\s*\]\s*(?:#.*)?$")
# a key, its value (a string without escapes or an inline table), and a comment
_LINE = re.compile(
    r"""^(?P<key>\s*(?P<quote>["']?)(?P<name>[\w.-]+)(?P=quote)\s*=\s*)"""
    r"""(?P<value>"[^"\\]*"|'[^']*'|\{[^{}]*\})(?P<comment>\s*(?:\#.*)?)$"""
)


class Pin:
    """What is installed of one distribution."""

    __slots__ = ("digest", "distribution", "version")

    def __init__(self, distribution: str, version: str, digest: str) -> None:
        self.distribution = distribution
        self.version = version
        self.digest = digest

    @property
    def rule(self) -> dict[str, str]:
        """The rule as `agentflow.toml` holds it."""
        return {"version": f"=={self.version}", "hash": self.digest}

    @property
    def text(self) -> str:
        """The rule as TOML."""
        return f'{{ version = "=={self.version}", hash = "{self.digest}" }}'


def pinned(text: str, pins: Mapping[str, Pin], file: str) -> str:
    """The text of `agentflow.toml` with these pins, by normalised name; lines of others stay as they are.

    Raises:
        UsageError: the list has a form that cannot be edited line by line.
    """
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if _ALLOW.match(line)), None)
    if start is None:
        lines += [*([""] if lines and lines[-1].strip() else []), HEADER]
        start = len(lines) - 1
    end = next((number for number in range(start + 1, len(lines)) if _TABLE.match(lines[number])), len(lines))
    rest = dict(pins)
    for number in range(start + 1, end):
        found = _LINE.match(lines[number])
        pin = rest.pop(normalise(found["name"]), None) if found else None
        if found and pin:
            lines[number] = f"{found['key']}{pin.text}{found['comment']}"
    while end > start + 1 and not lines[end - 1].strip():
        end -= 1  # what is new stands before the empty lines that part the tables
    lines[end:end] = [f"{pin.distribution} = {pin.text}" for _, pin in sorted(rest.items())]
    after = "\n".join(lines) + "\n"
    if _read(after) != _expected(text, pins):
        raise UsageError(
            f"{file}: the list of plugins has a form that cannot be edited. Write it as a table {HEADER} with one "
            "line for each distribution, then lock again."
        )
    return after


def _expected(text: str, pins: Mapping[str, Pin]) -> dict[str, Any] | None:
    """What the file says after it was edited, worked out without editing it."""
    document = _read(text)
    if document is None:
        return None
    allow = document.setdefault("plugins", {}).setdefault("allow", {})
    spelled = {normalise(name): name for name in allow}
    for name, pin in pins.items():
        allow[spelled.get(name, name)] = pin.rule
    return document


def _read(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def replace(path: str, text: str) -> None:
    """Put a text in the place of a file, or make it: all of it or nothing. A link stays one; the mode is kept.

    Raises:
        OSError: the folder cannot be written.
    """
    path = os.path.realpath(path)
    descriptor, draft = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".agentflow-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o644
        os.chmod(draft, mode)
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(draft)
        raise
