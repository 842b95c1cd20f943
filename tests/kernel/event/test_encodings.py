"""Events as JSON documents and as messages with headers, there and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow_kernel.errors import EventInvalid
from agentflow_kernel.event import DEPTH_LIMIT, STRUCTURED, Event

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cn")), min_size=1)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)
MOMENT = st.datetimes().map(lambda moment: moment.isoformat() + "Z")
RESERVED = {"id", "source", "type", "specversion", "subject", "time", "datacontenttype", "dataschema", "data"}
NAME = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20).filter(
    lambda name: name not in RESERVED
)
EXTENSIONS = st.dictionaries(NAME, TEXT | st.booleans() | st.integers(-(2**31), 2**31 - 1))
PAYLOAD = (
    st.tuples(JSON, st.none() | st.just("application/vnd.a+json"))
    | st.tuples(st.binary(), st.none() | st.just("image/png"))
    | st.tuples(
        st.text(st.characters(codec="utf-8")), st.sampled_from(["text/plain", "application/xml; charset=utf-8"])
    )
)


@st.composite
def events(draw) -> Event:
    data, content_type = draw(PAYLOAD)
    return Event(
        draw(TEXT),
        data,
        source=draw(TEXT),
        id=draw(TEXT),
        subject=draw(st.none() | TEXT),
        time=draw(MOMENT),
        datacontenttype=content_type,
        dataschema=draw(st.none() | TEXT),
        extensions=draw(EXTENSIONS),
    )


@settings(deadline=None)
@given(events())
def test_an_event_survives_json(event) -> None:
    """What is written in structured mode is read as an equal event, whatever its data."""
    assert Event.from_json(event.to_json()) == event


@settings(deadline=None)
@given(events())
def test_an_event_survives_headers(event) -> None:
    """In binary mode only the types of extension values are lost, and that there was data when it has no bytes."""
    arrived = Event.from_headers(*event.to_headers())
    for name in ("type", "source", "id", "subject", "time", "datacontenttype", "dataschema"):
        assert getattr(arrived, name) == getattr(event, name)
    assert arrived.extensions == {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in event.extensions.items()
    }
    body = event.to_headers()[1]
    assert arrived.data == (event.data if body else None)


@settings(deadline=None)
@given(events())
def test_the_json_document_is_plain_json(event) -> None:
    """Any JSON reader sees the attributes under their names."""
    document = json.loads(event.to_json())
    assert document["specversion"] == "1.0"
    assert document["type"] == event.type
    assert ("data_base64" in document) == isinstance(event.data, bytes)


@settings(deadline=None)
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_raise_anything_but_event_invalid(body) -> None:
    """Reading rubbish never shows an exception of a library."""
    for read in (Event.from_json, lambda body: Event.from_headers([("content-type", body), ("ce_id", body)], body)):
        with pytest.raises(EventInvalid):
            read(body)


def test_an_event_that_arrives_without_time_has_none() -> None:
    """Time is optional in CloudEvents; none is invented for others' events."""
    event = Event.from_json(b'{"specversion":"1.0","type":"t","source":"s","id":"1"}')
    assert event.time is None
    assert b"time" not in event.to_json()


def test_null_is_the_same_as_absent() -> None:
    """As the JSON format says."""
    event = Event.from_json(
        b'{"specversion":"1.0","type":"t","source":"s","id":"1","subject":null,"data":null,"x":null}'
    )
    assert event.subject is event.data is None
    assert event.extensions == {}


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"type": None}, "type"),
        ({"source": None}, "source"),
        ({"id": None}, "id"),
        ({"id": 5}, "id"),
        ({"time": "today"}, "time"),
        ({"Tenant": "x"}, "Tenant"),
        ({"tenant": {"a": 1}}, "tenant"),
        ({"tenant": 1.5}, "tenant"),
        ({"data_base64": "AA=", "data": None}, "data_base64"),
        ({"data_base64": 5, "data": None}, "data_base64"),
        ({"data_base64": "AAAA"}, "data_base64"),
        ({"datacontenttype": "text/plain"}, "data"),
    ],
)
def test_a_document_that_is_no_event_is_refused_by_attribute(change, attribute) -> None:
    """One wrong member is named; nothing is repaired."""
    document = {"specversion": "1.0", "type": "t", "source": "s", "id": "1", "data": {"a": 1}, **change}
    with pytest.raises(EventInvalid) as caught:
        Event.from_json(json.dumps(document).encode())
    assert caught.value.attribute == attribute


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"{", b"\xff", "{}".encode("utf-16"), b"\xef\xbb\xbf{}"])
def test_a_body_that_is_no_json_object_is_refused(body) -> None:
    """Also other encodings and a byte order mark."""
    with pytest.raises(EventInvalid):
        Event.from_json(body)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000])
def test_numbers_that_json_does_not_have_are_refused(number) -> None:
    """In a document and in the body of a message."""
    with pytest.raises(EventInvalid):
        Event.from_json(f'{{"specversion":"1.0","type":"t","source":"s","id":"1","data":{number}}}'.encode())
    with pytest.raises(EventInvalid):
        Event.from_headers(_headers(), f"[{number}]".encode())


@pytest.mark.parametrize(
    "data", [float("nan"), float("inf"), {"a": {1, 2}}, object(), "\ud800", {"\udfff": 1}, [10**5000]]
)
def test_data_that_is_no_json_is_refused_when_it_is_written(data) -> None:
    """Both encodings name the attribute `data`."""
    event = Event("t", data)
    for write in (event.to_json, event.to_headers):
        with pytest.raises(EventInvalid) as caught:
            write()
        assert caught.value.attribute == "data"


def test_text_with_a_lone_surrogate_is_refused_in_every_form() -> None:
    """It has no UTF-8 form, so an event that is read can always be written."""
    with pytest.raises(EventInvalid, match="data"):
        Event("t", "\ud800", datacontenttype="text/plain").to_headers()
    with pytest.raises(EventInvalid):
        Event.from_json(b'{"specversion":"1.0","type":"t","source":"s","id":"1","data":"\\ud800"}')


@pytest.mark.parametrize("member", ['"id":"2"', '"data":1,"data":2', '"data":{"a":1,"a":1}'])
def test_a_member_that_stands_twice_is_refused(member) -> None:
    """Readers would differ in which of the two they see."""
    with pytest.raises(EventInvalid, match="twice"):
        Event.from_json(f'{{"specversion":"1.0","type":"t","source":"s","id":"1",{member}}}'.encode())


@pytest.mark.parametrize("depth", [DEPTH_LIMIT, DEPTH_LIMIT + 1, 900, 1_000_000])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_a_depth_bomb_is_an_invalid_event(depth, left, right) -> None:
    """Never a RecursionError, neither in a document nor in the body of a message."""
    bomb = left * depth + "1" + right * depth
    with pytest.raises(EventInvalid):
        Event.from_json(f'{{"specversion":"1.0","type":"t","source":"s","id":"1","data":{bomb}}}'.encode())
    if depth > DEPTH_LIMIT:
        with pytest.raises(EventInvalid):
            Event.from_headers(_headers(), bomb.encode())


def test_the_depth_limit_is_the_same_in_and_out() -> None:
    """Data as deep as allowed goes through both ways; one level more is refused on the way out."""
    data: object = 1
    for _ in range(DEPTH_LIMIT - 1):
        data = [data]
    event = Event("t", data)
    assert Event.from_json(event.to_json()) == event
    assert Event.from_headers(*event.to_headers()) == event
    for depth in (DEPTH_LIMIT + 1, 5000):
        for _ in range(depth):
            data = [data]
        with pytest.raises(EventInvalid):
            Event("t", data).to_json()


def test_a_wide_document_is_no_depth_bomb() -> None:
    """Many containers side by side are fine."""
    data = [{"a": [n]} for n in range(1000)]
    assert Event.from_json(Event("t", data).to_json()).data == data


def _headers(content_type: bytes = b"application/json", **extra: bytes) -> list[tuple[str, bytes]]:
    attributes = {"specversion": b"1.0", "type": b"t", "source": b"s", "id": b"1", **extra}
    return [("content-type", content_type), *((f"ce_{name}", value) for name, value in attributes.items())]


@pytest.mark.parametrize(
    ("content_type", "body", "data"),
    [
        (b"application/json", b'{"a":1}', {"a": 1}),
        (b"Application/JSON; charset=utf-8", b"[1]", [1]),
        (b"text/json", b"1", 1),
        (b"application/a+json", b"null", None),
        (b"application/json", b"", None),
        (b"text/plain", "ü".encode(), "ü"),
        (b"text/plain; charset=utf-8", "ü".encode(), "ü"),
        (b"text/plain; charset=latin-1", b"\xfc", b"\xfc"),
        (b"text/plain", b"\xfc", b"\xfc"),
        (b"image/svg+xml", b"<svg/>", "<svg/>"),
        (b"image/png", b"\x89PNG", b"\x89PNG"),
    ],
)
def test_the_content_type_tells_how_a_body_is_read(content_type, body, data) -> None:
    """JSON gives values, text gives strings where it is UTF-8, everything else stays bytes."""
    event = Event.from_headers(_headers(content_type), body)
    assert event.data == data
    assert event.datacontenttype == content_type.decode()


def test_without_a_content_type_json_is_tried() -> None:
    """What is no JSON stays bytes."""
    assert Event.from_headers(_headers()[1:], b"[1]").data == [1]
    assert Event.from_headers(_headers()[1:], b"\x00").data == b"\x00"
    assert Event.from_headers(_headers()[1:], None).data is None


def test_a_structured_message_is_recognised_by_its_content_type() -> None:
    """One call reads both modes."""
    event = Event("t", {"a": 1})
    headers = [("content-type", f"{STRUCTURED}; charset=utf-8".encode()), ("af-attempt", b"2")]
    assert Event.from_headers(headers, event.to_json()) == event


def test_foreign_headers_are_ignored_and_names_ignore_case() -> None:
    """A bus keeps headers of its own beside those of the event."""
    headers = [(name.upper(), value) for name, value in _headers(tenant=b"a")]
    event = Event.from_headers([*headers, ("af-attempt", b"\xff")], b"1")
    assert event.extensions == {"tenant": "a"}


def test_a_header_that_stands_twice_is_refused() -> None:
    """Also when the two differ in case only."""
    with pytest.raises(EventInvalid, match="twice"):
        Event.from_headers([*_headers(), ("CE_ID", b"2")], b"1")


@pytest.mark.parametrize("value", [b"\xff", None])
def test_a_header_that_is_no_text_is_refused(value) -> None:
    """The attribute is named."""
    with pytest.raises(EventInvalid) as caught:
        Event.from_headers([*_headers(), ("ce_tenant", value)], b"1")
    assert caught.value.attribute == "tenant"


def test_the_headers_of_an_event() -> None:
    """`ce_` and the attribute's name; the content type under its own."""
    event = Event("t", {"a": "ü"}, id="1", time="2026-01-31T23:59:59Z", extensions={"n": 5, "flag": True})
    headers, body = event.to_headers()
    assert headers == [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"t"),
        ("ce_source", b"agentflow"),
        ("ce_id", b"1"),
        ("ce_time", b"2026-01-31T23:59:59Z"),
        ("content-type", b"application/json"),
        ("ce_n", b"5"),
        ("ce_flag", b"true"),
    ]
    assert body == '{"a":"ü"}'.encode()
