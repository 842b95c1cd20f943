"""The input of a run, as a person types it: a JSON object, a file, standard input, or single keys."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from agentflow_kernel.errors import InputInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentflow_kernel.contracts.values import JSON

FORMS = "Expected a JSON object, @file.json, - for standard input, or key=value."


def read_input(options: Iterable[str], name: str = "--input") -> dict[str, JSON]:
    """The values of all options in one object; a later one replaces the keys of an earlier one.

    Raises :class:`InputInvalid` for text in no known form, broken JSON, JSON that is no object, an unreadable file.
    """
    found: dict[str, JSON] = {}
    for option in options:
        text = option.strip()
        if text == "-":
            found.update(_read_object(sys.stdin.read(), f"{name} -"))
        elif text.startswith("@"):
            found.update(_read_object(_read_file(text[1:], name), f"{name} {text}"))
        elif text.startswith(("{", "[", '"')):
            found.update(_read_object(text, name))
        else:
            key, value = read_pair(option, name)
            found[key] = value
    return found


def read_pair(option: str, name: str) -> tuple[str, JSON]:
    """The key and the value of `key=value`; a value that is JSON is taken as that, any other as text."""
    key, equals, text = option.partition("=")
    if not equals or not key.strip():
        raise InputInvalid(f"{name} {option!r}", FORMS)
    try:
        value: JSON = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        value = text
    return key.strip(), value


def _read_file(path: str, name: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputInvalid(f"{name} @{path}", f"cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InputInvalid(f"{name} @{path}", f"is not UTF-8: byte {error.start}.") from error


def _read_object(text: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InputInvalid(what, f"{error.msg} at {place}. {FORMS}") from error
    except (ValueError, RecursionError) as error:
        raise InputInvalid(what, f"{error}. {FORMS}") from error
    if not isinstance(value, dict):
        raise InputInvalid(what, f"is JSON, but no object. {FORMS}")
    return value


def _refuse_constant(text: str) -> NoReturn:
    """NaN and the infinities are no JSON; Python's reader would take them."""
    raise ValueError(f"{text} is no JSON number")
