"""JSON text: a value as compact JSON, and what such a text reads back as.

``json.dumps`` with options, and ``JSONEncoder.encode`` too, make an encoder for each call, which costs more than a
small value; here one is made once.
"""

from __future__ import annotations

import json
from json import encoder as _parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PLAIN = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False)


def _make_writer() -> Callable[[object], str]:
    make: Any = getattr(_parts, "c_make_encoder", None)
    if make is None:  # an interpreter without the C part
        return _PLAIN.encode
    text_of = _parts.encode_basestring
    chunks = make(None, _PLAIN.default, text_of, None, ":", ",", False, False, False)
    join = "".join

    def write(value: object) -> str:
        return join(chunks(value, 0))

    return write


write = _make_writer()
"""Compact JSON with all characters as they are. Raises ``TypeError`` for what is not JSON, ``ValueError`` for NaN and
infinities, ``RecursionError`` for a value that holds itself or is nested too deep."""

_scan: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # public, and not in the stubs


def read(text: str) -> Any:
    """The value of a text that :func:`write` has made; for any other text use ``json.loads``."""
    return _scan(text, 0)[0]
