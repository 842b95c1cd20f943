"""An event: something that happened, in an envelope of CloudEvents 1.0, with its JSON and its header encoding.

Source: CloudEvents 1.0.2, its JSON format and its Kafka binding (February 2022).
"""

from __future__ import annotations

import os
import time as _time
from _thread import allocate_lock

from agentflow_kernel.errors import EventInvalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from json import JSONDecoder, JSONEncoder

    JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]

DEPTH_LIMIT = 128
"""How deep objects and arrays of an encoded event may be nested; deeper ones are refused, in and out."""

STRUCTURED = "application/cloudevents+json"
"""The content type of an event that is one JSON document."""

_JSON = "application/json"
_PREFIX = "ce_"
_CORE = ("source", "id", "time", "subject", "datacontenttype", "dataschema")
_RESERVED = frozenset((*_CORE, "type", "specversion", "data"))
_DIGITS = frozenset("0123456789")
_ALPHABET = _DIGITS.union("abcdefghijklmnopqrstuvwxyz")
_MONTH_DAYS = {"02": "29", "04": "30", "06": "30", "09": "30", "11": "30"}
_minute = ""


class Event:
    """One event; immutable by contract and cheap to build. Two events are equal when all their attributes are.

    ``data`` is a JSON value, ``bytes``, or text under a ``datacontenttype`` that is not JSON; ``None`` is no data.
    That it is JSON is checked when the event is encoded. ``id`` defaults to a new :func:`uuid7`, ``time`` to now,
    ``datacontenttype`` to ``application/json``, or ``application/octet-stream`` for ``bytes``; ``time`` is ``None``
    only in an event that arrived without one. ``source`` and ``id`` together are unique. Extension names match
    ``[a-z0-9]{1,20}``, their values are text, booleans and 32-bit integers.

    Raises:
        EventInvalid: an attribute breaks CloudEvents 1.0; the error names it.
    """

    __slots__ = ("type", "data", *_CORE, "extensions")

    specversion = "1.0"

    def __init__(
        self,
        type: str,
        data: JSON | bytes = None,
        *,
        source: str = "agentflow",
        id: str | None = None,
        subject: str | None = None,
        time: str | None = None,
        datacontenttype: str | None = None,
        dataschema: str | None = None,
        extensions: Mapping[str, str | int | bool] | None = None,
    ) -> None:
        if datacontenttype is not None:
            _text("datacontenttype", datacontenttype)
            if not (data is None or isinstance(data, str | bytes) or _is_json(datacontenttype)):
                raise EventInvalid("data", f"must be text or bytes, because datacontenttype is {datacontenttype!r}.")
        elif data is not None:
            datacontenttype = "application/octet-stream" if isinstance(data, bytes) else _JSON
        self.type = _text("type", type)
        self.data = data
        self.source = _text("source", source)
        self.id = uuid7() if id is None else _text("id", id)
        self.time: str | None = _now() if time is None else _moment(time)
        self.subject = None if subject is None else _text("subject", subject)
        self.datacontenttype = datacontenttype
        self.dataschema = None if dataschema is None else _text("dataschema", dataschema)
        self.extensions: Mapping[str, str | int | bool] = {} if not extensions else _extensions(extensions)

    @property
    def key(self) -> str | None:
        """The extension ``partitionkey`` as text: events that share it stay in order."""
        value = self.extensions.get("partitionkey")
        return value if value is None or isinstance(value, str) else _spelled(value)

    def to_json(self) -> bytes:
        """The whole event as one JSON document (structured mode), in UTF-8; bytes become ``data_base64``.

        Raises:
            EventInvalid: the data is not JSON (NaN and lone surrogates are not), or nested too deep.
        """
        document: dict[str, object] = dict(self._attributes())
        if isinstance(self.data, bytes):
            import binascii  # lazy: only for bytes

            document["data_base64"] = binascii.b2a_base64(self.data, newline=False).decode("ascii")
        elif self.data is not None:
            document["data"] = self.data
        return _dump(document)

    @classmethod
    def from_json(cls, body: bytes) -> Event:
        """The event in a JSON document.

        Raises:
            EventInvalid: not UTF-8, not JSON, a member twice, NaN, nested too deep, or no CloudEvents 1.0 event.
        """
        document = _load(body, "body")
        if not isinstance(document, dict):
            raise EventInvalid("body", "must be a JSON object.")
        attributes = {name: value for name, value in document.items() if value is not None}
        data = attributes.pop("data", None)
        encoded = attributes.pop("data_base64", None)
        if encoded is not None:
            if data is not None:
                raise EventInvalid("data_base64", "stands beside data; an event has one of them.")
            data = _from_base64(encoded)
        return cls._read(attributes, data)

    def to_headers(self) -> tuple[list[tuple[str, bytes]], bytes]:
        """The attributes as ``ce_`` headers with ``content-type``, and the data alone as body (binary mode).

        Integers and booleans among the extensions become text, for a header has no type.

        Raises:
            EventInvalid: as for :meth:`to_json`.
        """
        headers = []
        for name, value in self._attributes():
            header = "content-type" if name == "datacontenttype" else _PREFIX + name
            headers.append((header, _spelled(value).encode()))
        if self.data is None:
            return headers, b""
        if isinstance(self.data, bytes):
            return headers, self.data
        if isinstance(self.data, str) and not _is_json(self.datacontenttype or _JSON):
            try:
                return headers, self.data.encode()
            except UnicodeEncodeError as exc:
                raise EventInvalid("data", f"cannot be encoded: {exc}.") from exc
        return headers, _dump(self.data)

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes]], body: bytes | None) -> Event:
        """The event in a message of a bus, in binary or, told by ``content-type``, in structured mode.

        A JSON content type gives a JSON value, a text type in UTF-8 a string, every other type ``bytes``; without a
        content type, JSON is tried first. Headers that do not begin with ``ce_`` are ignored; names ignore case.

        Raises:
            EventInvalid: a header stands twice, is not UTF-8, or the attributes are no CloudEvents 1.0 event.
        """
        attributes: dict[str, object] = {}
        for header, value in headers:
            lower = header.lower()
            if lower == "content-type":
                name = "datacontenttype"
            elif lower.startswith(_PREFIX):
                name = lower[len(_PREFIX) :]
            else:
                continue
            if name in attributes:
                raise EventInvalid(name, f"header {header!r} stands twice.")
            try:
                attributes[name] = value.decode()
            except (UnicodeDecodeError, AttributeError) as exc:
                raise EventInvalid(name, f"header {header!r} is not text in UTF-8.") from exc
        content_type = str(attributes.get("datacontenttype", ""))
        if _bare(content_type) == STRUCTURED:
            return cls.from_json(body or b"")
        return cls._read(attributes, _decoded(content_type, body or b""))

    @classmethod
    def _read(cls, attributes: dict[str, object], data: JSON | bytes) -> Event:
        """An event from what was received, where ``time`` may be absent and nothing has its type yet."""
        version = attributes.pop("specversion", None)
        if version != cls.specversion:
            raise EventInvalid("specversion", f"must be {cls.specversion!r}, not {version!r}.")
        for name in ("type", "source", "id"):
            if name not in attributes:
                raise EventInvalid(name, "is missing.")
        given = {name: attributes.pop(name) for name in ("type", *_CORE) if name in attributes}
        event = cls(data=data, extensions=attributes, **given)  # type: ignore[arg-type]  # the constructor checks each
        if "time" not in given:
            event.time = None
        return event

    def _attributes(self) -> list[tuple[str, str | int | bool]]:
        """Name and value of every attribute that is there."""
        found: list[tuple[str, str | int | bool]] = [("specversion", self.specversion), ("type", self.type)]
        for name in _CORE:
            value = getattr(self, name)
            if value is not None:
                found.append((name, value))
        found.extend(self.extensions.items())
        return found

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((self.source, self.id))

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name in self.__slots__[1:] if (value := getattr(self, name)) not in (None, {})]
        return f"Event({', '.join([repr(self.type), *given])})"


# ---- attributes


def _text(attribute: str, value: object) -> str:
    """``value``, if it is text that may stand in an attribute."""
    if isinstance(value, str) and value and (value.isprintable() or all(map(_is_legal, value))):
        return value
    if value == "":
        raise EventInvalid(attribute, "must not be empty.")
    found = "text with control characters" if isinstance(value, str) else type(value).__name__
    raise EventInvalid(attribute, f"must be text without control characters, not {found}.")


def _is_legal(char: str) -> bool:
    """Whether CloudEvents allows a character: no controls, no surrogates, no Unicode non-characters."""
    code = ord(char)
    return not (code < 0x20 or 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xDFFF or 0xFDD0 <= code <= 0xFDEF) and (
        code & 0xFFFE != 0xFFFE
    )


def _moment(value: object) -> str:
    """``value``, if it is a date and time with offset. Source: RFC 3339, section 5.6 (July 2002)."""
    global _minute  # noqa: PLW0603 -- most moments share their minute with the one before
    if isinstance(value, str) and (value[:17] == _minute or _is_minute(value[:17])):
        second, rest = value[17:19], value[19:]
        if rest[:1] == "." and rest[1:2] in _DIGITS:
            rest = rest[1:].lstrip("0123456789")
        if len(second) == 2 and second <= "60" and second.isascii() and second.isdigit() and (
            rest == "Z" or _is_offset(rest)
        ):  # fmt: skip
            _minute = value[:17]
            return value
    raise EventInvalid("time", f"must be a moment in RFC 3339, such as '2026-01-31T23:59:59.5Z', not {value!r}.")


def _is_minute(text: str) -> bool:
    """Whether ``text`` is a date, an hour and a minute, up to the colon after it."""
    digits = text[:4] + text[5:7] + text[8:10] + text[11:13] + text[14:16]
    month, day = text[5:7], text[8:10]
    return (
        len(digits) == 12 and _DIGITS.issuperset(digits) and text[4::3].upper() == "--T::"
        and "01" <= month <= "12" and "01" <= day <= _MONTH_DAYS.get(month, "31")
        and (month + day != "0229" or _is_leap(int(text[:4])))
        and text[11:13] <= "23" and text[14:16] <= "59"
    )  # fmt: skip


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _is_offset(text: str) -> bool:
    hours, minutes = text[1:3], text[4:]
    return text == "z" or (
        len(text) == 6 and text[0] in "+-" and text[3] == ":" and _DIGITS.issuperset(hours + minutes)
        and hours <= "23" and minutes <= "59"
    )  # fmt: skip


def _extensions(given: Mapping[str, str | int | bool]) -> Mapping[str, str | int | bool]:
    """A copy of ``given``, if names and values are those of extension attributes."""
    for name, value in given.items():
        if not (1 <= len(name) <= 20 and _ALPHABET.issuperset(name)):
            raise EventInvalid(str(name), "is no extension name: 1 to 20 characters of a-z and 0-9.")
        if name in _RESERVED:
            raise EventInvalid(name, "is an attribute of its own, not an extension.")
        if isinstance(value, bool):
            continue
        if isinstance(value, int):
            if not -(2**31) <= value < 2**31:
                raise EventInvalid(name, f"must fit into 32 bits, {value} does not.")
        elif value != "":
            _text(name, value)
    return dict(given)


def _spelled(value: str | int | bool) -> str:  # noqa: FBT001 -- a value, not a switch
    """An attribute's value as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


# ---- data


def _bare(content_type: str) -> str:
    """A content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def _is_json(content_type: str) -> bool:
    if content_type == _JSON:
        return True
    bare = _bare(content_type)
    return bare in {_JSON, "text/json"} or bare.endswith("+json")


def _decoded(content_type: str, body: bytes) -> JSON | bytes:
    """The data in a message body, by its content type."""
    if not body:
        return None
    if not content_type:
        try:
            return _load(body, "data")
        except EventInvalid:
            return body
    if _is_json(content_type):
        return _load(body, "data")
    bare = _bare(content_type)
    if bare.startswith("text/") or bare == "application/xml" or bare.endswith("+xml"):
        charset = content_type.lower().partition("charset=")[2].strip(' "')
        if charset in {"", "utf-8", "utf8", "us-ascii"}:
            try:
                return body.decode()
            except UnicodeDecodeError:
                return body
    return body


def _from_base64(text: object) -> bytes:
    import binascii  # lazy: only for bytes

    try:
        return binascii.a2b_base64(text, strict_mode=True)  # type: ignore[arg-type]  # a TypeError is an answer
    except (ValueError, TypeError) as exc:
        raise EventInvalid("data_base64", f"is not base64: {exc}.") from exc


_codec: tuple[JSONEncoder, JSONDecoder] | None = None


def _json() -> tuple[JSONEncoder, JSONDecoder]:
    """The JSON encoder and decoder, made when the first event is encoded or decoded."""
    global _codec  # noqa: PLW0603 -- made once
    if _codec is None:
        from json import JSONDecoder, JSONEncoder  # lazy: 10 ms, only at the border

        _codec = (
            JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")),
            JSONDecoder(object_pairs_hook=_unique, parse_constant=_not_a_number, parse_float=_finite),
        )
    return _codec


def _dump(value: object) -> bytes:
    try:
        body = _json()[0].encode(value).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise EventInvalid("data", f"is not JSON: {exc}.") from exc
    _check_depth(value, body)
    return body


def _load(body: bytes, attribute: str) -> JSON:
    try:
        text = body.decode()
        value: JSON = _json()[1].decode(text)
        if "\\u" in text:
            _json()[0].encode(value).encode()  # an escaped lone surrogate is no text
    except (ValueError, RecursionError) as exc:
        raise EventInvalid(attribute, f"is not JSON: {exc}.") from exc
    _check_depth(value, body)
    return value


def _check_depth(value: object, body: bytes) -> None:
    """Refuse what only some readers could read; small documents are not looked at."""
    if body.count(b"{") + body.count(b"[") <= DEPTH_LIMIT:
        return
    level: list[object] = [value]
    for _ in range(DEPTH_LIMIT):
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list | tuple):
                inner.extend(item)
        level = inner
        if not level:
            return
    if any(isinstance(item, dict | list | tuple) for item in level):
        raise EventInvalid("data", f"is nested deeper than {DEPTH_LIMIT}.")


def _unique(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise EventInvalid(twice, "stands twice in one object.")
    return found


def _not_a_number(text: str) -> JSON:
    raise EventInvalid("data", f"{text} is not JSON.")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise EventInvalid("data", f"{text} is larger than any number here.")
    return number


# ---- ids and times

_lock = allocate_lock()
_last = 0


def _new_lock() -> None:
    global _lock  # noqa: PLW0603 -- a child must not wait for a thread that it does not have
    _lock = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


def uuid7() -> str:
    """A new UUIDv7 as text: later ones sort after earlier ones of the same process, also within a millisecond.

    Source: RFC 9562, sections 5.7 and 6.2, method 2 (May 2024): 74 random bits, raised at random within one tick.
    """
    global _last  # noqa: PLW0603 -- the counter
    noise = int.from_bytes(os.urandom(10), "big")
    with _lock:
        value = (_time.time_ns() // 1_000_000 << 74) | (noise >> 6)
        if value >> 74 <= _last >> 74:
            value = _last + 1 + (noise >> 40)
        _last = value
    high, low = value >> 62, value & 0x3FFFFFFFFFFFFFFF
    text = f"{(high >> 12 << 80) | (0x7000 | high & 0xFFF) << 64 | 0x8000000000000000 | low:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def restart_ids(last: int = 0) -> int:
    """Let new ids depend on none that were made before, and return where they stood; for simulations.

    Give that number back afterwards: ids of this process go on rising.
    """
    global _last
    with _lock:
        before, _last = _last, last
    return before


_second = (0, "")


def _now() -> str:
    """This moment in UTC, to the microsecond."""
    global _second  # noqa: PLW0603 -- events of one second share its text
    seconds, rest = divmod(_time.time_ns() // 1_000, 1_000_000)
    known, text = _second
    if known != seconds:
        text = _time.strftime("%Y-%m-%dT%H:%M:%S", _time.gmtime(seconds))
        _second = (seconds, text)
    return f"{text}.{rest:06}Z"
