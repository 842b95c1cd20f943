"""The input of a run, as a person types it: JSON, a file, standard input, or single keys."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from agentflow_kernel.errors import InputInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.values import JSON

FORMS = "Expected a JSON object or other JSON, @file.json, - for standard input, or key=value."


def read_input(options: Sequence[str], name: str = "--input") -> JSON:
    """The value of one option, or the objects of several in one; a later one replaces the keys of an earlier one.

    Raises :class:`InputInvalid` for text in no known form, broken JSON, an unreadable file, and for several options
    of which one is no object.
    """
    values: list[JSON] = [_read(option, name) for option in options]
    if len(values) == 1:
        return values[0]
    found: dict[str, JSON] = {}
    for option, value in zip(options, values, strict=True):
        if not isinstance(value, dict):
            raise InputInvalid(f"{name} {option}", "is no object; only objects and key=value can be combined.")
        found.update(value)
    return found


def read_settings(options: Sequence[str], name: str) -> dict[str, JSON]:
    """As :func:`read_input`, for what has to be an object."""
    value = read_input(options, name)
    if not isinstance(value, dict):
        raise InputInvalid(f"{name} {options[0]}", "is no object; settings are given as key=value or a JSON object.")
    return value


def _read(option: str, name: str) -> Any:
    """The value of one option."""
    text = option.strip()
    if text == "-":
        return _parse(sys.stdin.read(), f"{name} -")
    if text.startswith("@"):
        return _parse(_read_file(text[1:], name), f"{name} {text}")
    if text.startswith(("{", "[", '"')):
        return _parse(text, name)
    key, equals, value = option.partition("=")
    if equals and key.strip():
        return {key.strip(): _json_or_text(value)}
    found = _json_or_text(text)
    if found == text:
        raise InputInvalid(f"{name} {option!r}", FORMS)
    return found


def _read_file(path: str, name: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputInvalid(f"{name} @{path}", f"cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InputInvalid(f"{name} @{path}", f"is not UTF-8: byte {error.start}.") from error


def _json_or_text(text: str) -> Any:
    """The value if the text is JSON, else the text."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def _parse(text: str, what: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InputInvalid(what, f"{error.msg} at {place}. {FORMS}") from error
    except (ValueError, RecursionError) as error:
        raise InputInvalid(what, f"{error}. {FORMS}") from error


def _refuse_constant(text: str) -> NoReturn:
    """NaN and the infinities are no JSON; Python's reader would take them."""
    raise ValueError(f"{text} is no JSON number")
