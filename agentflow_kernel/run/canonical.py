"""Canonical JSON: what a value becomes in the journal, checked so that nothing changes on the way back."""

from __future__ import annotations

from agentflow_kernel.errors import NotSerialisable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agentflow_kernel.contracts.values import JSON


_CODEC: list[Callable[[Any], Any]] = []


def _make_codec() -> list[Callable[[Any], Any]]:
    from agentflow_kernel import json_text  # lazy: 10 ms, only runs with a journal pay

    _CODEC[:] = (json_text.write, json_text.read)
    return _CODEC


def to_json(value: object, node: str) -> tuple[JSON, str]:
    """The value as JSON gives it back, and its compact text.

    Raises :class:`NotSerialisable` naming the first place that is not JSON, also for what JSON would change silently
    (tuples, keys that are no strings).
    """
    write, read = _CODEC or _make_codec()
    try:
        text = write(value)
        back: JSON = read(text)
        same = back == value and (text.isascii() or bool(text.encode()))
    except (TypeError, ValueError, RecursionError):  # the last but one also for lone surrogates
        same = False
    if not same:
        path, found = _first_fault(value, "", 0) or ("", f"a value of type {type(value).__name__}")
        raise NotSerialisable(node, path, found)
    return back, text


def copy_of(value: JSON, text: str) -> JSON:
    """A copy of a value that :func:`to_json` has given together with its text."""
    return value if value.__class__ in _UNCHANGING else _CODEC[1](text)


_UNCHANGING = (str, int, float, bool, type(None))


def _first_fault(value: object, path: str, depth: int) -> tuple[str, str] | None:
    """Where the first value stands that is not JSON, and what it is."""
    if depth > 200:
        return path, "nested more than 200 deep"
    if value is None or isinstance(value, bool | int):
        return None
    if isinstance(value, str):
        return (path, "a string with a lone surrogate") if _has_surrogate(value) else None
    if isinstance(value, float):
        return None if value - value == 0 else (path, f"the number {value}")
    if isinstance(value, list):
        children = [(f"{path}[{index}]", child) for index, child in enumerate(value)]
    elif isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or _has_surrogate(key):
                return path, f"an object with the key {key!r}"
        children = [(f"{path}.{key}", child) for key, child in value.items()]
    else:
        name = type(value).__name__
        return path, f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
    for place, child in children:
        fault = _first_fault(child, place, depth + 1)
        if fault:
            return fault
    return None


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


_SHA256: list[Callable[[bytes], Any]] = []
"""The function once it was asked for: an import in the call would make each hash dearer by half."""


def hash_text(text: str) -> str:
    """SHA-256 of a text, 16 hex digits: enough to notice that an input has changed."""
    if not _SHA256:
        from hashlib import sha256  # lazy: 3 ms, only runs with a journal pay

        _SHA256.append(sha256)
    digest: str = _SHA256[0](text.encode()).hexdigest()
    return digest[:16]
