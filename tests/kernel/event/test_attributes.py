"""What an event may consist of."""

from __future__ import annotations

import pytest

from agentflow_kernel.errors import EventInvalid
from agentflow_kernel.event import Event


def test_an_event_needs_a_type_only() -> None:
    """Everything but the type has a default: our source, a new id, the present moment, no data."""
    event = Event("order.created")
    assert (event.type, event.source, event.specversion) == ("order.created", "agentflow", "1.0")
    assert event.data is event.subject is event.datacontenttype is event.dataschema is event.key is None
    assert event.extensions == {}
    assert event.id != Event("order.created").id
    assert event.time is not None
    assert event.time.endswith("Z")


@pytest.mark.parametrize(
    ("data", "expected"),
    [(None, None), ({"a": 1}, "application/json"), ("text", "application/json"), (b"x", "application/octet-stream")],
)
def test_the_content_type_follows_from_the_data(data, expected) -> None:
    """JSON values are marked as JSON, bytes as bytes, nothing as nothing."""
    assert Event("t", data).datacontenttype == expected


def test_a_given_content_type_is_kept() -> None:
    """Text may be something else than a JSON string when its type says so."""
    assert Event("t", "<a/>", datacontenttype="application/xml").datacontenttype == "application/xml"


def test_events_are_compared_by_content_and_hashed_by_identity() -> None:
    """Equal means every attribute and the data; source and id together are the hash."""
    one = Event("t", {"a": [1]}, id="1", time="2026-01-31T23:59:59Z")
    same = Event("t", {"a": [1]}, id="1", time="2026-01-31T23:59:59Z")
    other = Event("t", {"a": [2]}, id="1", time="2026-01-31T23:59:59Z")
    assert one == same
    assert one != other
    assert one != "event"
    assert len({one, same}) == 1


def test_the_readable_form_shows_what_is_there() -> None:
    """Absent attributes are left out."""
    event = Event("t", id="1", time="2026-01-31T23:59:59Z", subject="s")
    assert repr(event) == "Event('t', source='agentflow', id='1', time='2026-01-31T23:59:59Z', subject='s')"


@pytest.mark.parametrize(
    ("partition_key", "expected"), [("order-7", "order-7"), (7, "7"), (True, "true"), (None, None)]
)
def test_the_key_is_the_extension_partitionkey_as_text(partition_key, expected) -> None:
    """Events without the extension have no key."""
    assert Event("t", extensions={} if partition_key is None else {"partitionkey": partition_key}).key == expected


def test_extensions_are_copied() -> None:
    """A later change of the caller's mapping does not reach the event."""
    given = {"tenant": "a"}
    event = Event("t", extensions=given)
    given["tenant"] = "b"
    assert event.extensions == {"tenant": "a"}


@pytest.mark.parametrize("name", ["type", "source", "id", "subject", "datacontenttype", "dataschema", "time"])
@pytest.mark.parametrize("value", ["", "a\x00b", "a\x7f", "a\ud800", "a\ufdd0", "\U0001fffe", 5, b"x"])
def test_an_attribute_that_is_no_text_is_refused_by_name(name, value) -> None:
    """Empty text, control characters, surrogates, non-characters and other types are no attribute values."""
    attributes = {"type": "t", name: value}
    with pytest.raises(EventInvalid) as caught:
        Event(**attributes)
    assert caught.value.attribute == name


@pytest.mark.parametrize("text", ["ü", "日本", "a b", "\u2028", "\ue000", "\U0001f600"])
def test_all_other_characters_may_stand_in_an_attribute(text) -> None:
    """Not only what can be printed: separators and private use are legal."""
    assert Event(text, subject=text).subject == text


@pytest.mark.parametrize("name", ["", "Tenant", "trace-parent", "a_b", "ä", "a" * 21, "²"])
def test_an_extension_name_has_1_to_20_lower_case_letters_and_digits(name) -> None:
    """Other names are refused by name."""
    with pytest.raises(EventInvalid, match="no extension name") as caught:
        Event("t", extensions={name: "x"})
    assert caught.value.attribute == name


@pytest.mark.parametrize(
    "name", ["id", "source", "type", "specversion", "subject", "time", "datacontenttype", "dataschema", "data"]
)
def test_an_extension_may_not_take_the_name_of_an_attribute(name) -> None:
    """It would overwrite it on the wire."""
    with pytest.raises(EventInvalid, match="attribute of its own"):
        Event("t", extensions={name: "x"})


@pytest.mark.parametrize("value", [1.5, None, {}, [], b"x", "a\n", 2**31, -(2**31) - 1])
def test_an_extension_value_is_text_a_boolean_or_a_32_bit_integer(value) -> None:
    """Other values are refused under the extension's name."""
    with pytest.raises(EventInvalid) as caught:
        Event("t", extensions={"x": value})
    assert caught.value.attribute == "x"


def test_the_limits_of_extension_values_are_inside() -> None:
    """The largest and smallest integer, both booleans and empty text are legal."""
    values = {"a": 2**31 - 1, "b": -(2**31), "c": True, "d": False, "e": ""}
    assert Event("t", extensions=values).extensions == values


@pytest.mark.parametrize(
    "moment",
    [
        "2026-01-31T23:59:59Z",
        "2026-01-31t23:59:59.123456789z",
        "2024-02-29T00:00:00+00:00",
        "2000-02-29T00:00:00Z",
        "2026-06-30T23:59:60-08:00",
        "0000-01-01T00:00:00.0+23:59",
    ],
)
def test_a_moment_of_rfc_3339_is_accepted_as_it_stands(moment) -> None:
    """Any offset, any precision, either case, leap seconds."""
    assert Event("t", time=moment).time == moment


@pytest.mark.parametrize(
    "moment",
    [
        "2026-01-31",
        "2026-01-31T23:59:59",
        "2026-01-31 23:59:59Z",
        "2026-01-31T23:59Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T23:60:00Z",
        "2026-01-31T23:59:61Z",
        "2026-01-31T23:59:5Z",
        "2026-01-31T23:59:59.Z",
        "2026-01-31T23:59:59,5Z",
        "2026-01-31T23:59:59+0100",
        "2026-01-31T23:59:59+24:00",
        "2026-01-31T23:59:59+01:60",
        "2026-01-31T23:59:59ZZ",
        "2026-00-31T23:59:59Z",
        "2026-13-31T23:59:59Z",
        "2026-04-31T23:59:59Z",
        "2025-02-29T23:59:59Z",
        "1900-02-29T23:59:59Z",
        "20260131T235959Z",
        "2026-W05-6T23:59:59Z",
        "\uff12026-01-31T23:59:59Z",
        "2026-01-31T23:59:5²Z",
        "now",
        20260131,
    ],
)
def test_what_is_no_moment_of_rfc_3339_is_refused(moment) -> None:
    """Also what other ISO 8601 readers accept; the message shows a good one."""
    with pytest.raises(EventInvalid, match="RFC 3339") as caught:
        Event("t", time=moment)
    assert caught.value.attribute == "time"


def test_a_good_moment_does_not_vouch_for_a_bad_one_of_the_same_minute() -> None:
    """What is remembered of the last moment ends at its minute."""
    Event("t", time="2026-01-31T23:59:59Z")
    with pytest.raises(EventInvalid):
        Event("t", time="2026-01-31T23:59:61Z")


def test_data_that_is_no_text_needs_a_json_content_type() -> None:
    """Objects cannot be sent as XML."""
    with pytest.raises(EventInvalid, match="application/xml"):
        Event("t", {"a": 1}, datacontenttype="application/xml")
    assert Event("t", {"a": 1}, datacontenttype="application/vnd.x+json; charset=utf-8").data == {"a": 1}
