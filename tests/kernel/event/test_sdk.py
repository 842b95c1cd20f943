"""The CloudEvents SDK as second opinion: it reads what we write, and we read what it writes."""

from __future__ import annotations

from datetime import UTC, datetime

from cloudevents.core.bindings import kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow_kernel.event import Event

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cn")), min_size=1)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECT = st.dictionaries(TEXT, VALUE, min_size=1, max_size=4)
DATA = (
    st.tuples(st.just("application/json"), OBJECT)
    | st.tuples(st.just("text/plain"), TEXT)
    | st.tuples(st.just("image/png"), st.binary(min_size=1))
)
ATTRIBUTES = st.fixed_dictionaries(
    {"type": TEXT, "source": TEXT, "id": TEXT, "time": st.datetimes(timezones=st.just(UTC))},
    optional={"subject": TEXT, "dataschema": TEXT, "tenant": TEXT, "partitionkey": TEXT},
)


def ours(attributes, content_type, data) -> Event:
    """An event of ours with what the SDK would be given."""
    core = {name: value for name, value in attributes.items() if name not in {"tenant", "partitionkey"}}
    core["time"] = attributes["time"].isoformat()
    extensions = {name: attributes[name] for name in ("tenant", "partitionkey") if name in attributes}
    return Event(**core, data=data, datacontenttype=content_type, extensions=extensions)


def agree(event: Event, theirs: CloudEvent) -> None:
    """Every attribute of the one is that of the other."""
    attributes = dict(theirs.get_attributes())
    assert event.time is not None
    assert datetime.fromisoformat(event.time) == attributes.pop("time")
    mine = {"specversion": event.specversion, **event.extensions}
    for name in ("type", "source", "id", "subject", "datacontenttype", "dataschema"):
        if getattr(event, name) is not None:
            mine[name] = getattr(event, name)
    assert mine == attributes
    data = theirs.get_data()
    if isinstance(event.data, bytes) and isinstance(data, str):
        data = data.encode()  # the SDK shows bytes that happen to be UTF-8 as text
    assert event.data == data


@settings(deadline=None)
@given(ATTRIBUTES, DATA)
def test_the_sdk_reads_our_json(attributes, data) -> None:
    """Structured mode, from us to the SDK."""
    event = ours(attributes, *data)
    agree(event, JSONFormat().read(CloudEvent, event.to_json()))


@settings(deadline=None)
@given(ATTRIBUTES, DATA)
def test_we_read_the_sdks_json(attributes, data) -> None:
    """Structured mode, from the SDK to us."""
    theirs = CloudEvent({**attributes, "datacontenttype": data[0]}, data[1])
    agree(Event.from_json(JSONFormat().write(theirs)), theirs)


@settings(deadline=None)
@given(ATTRIBUTES, DATA)
def test_the_sdk_reads_our_kafka_message(attributes, data) -> None:
    """Binary mode, from us to the SDK; the record key is the partition key."""
    event = ours(attributes, *data)
    headers, body = event.to_headers()
    message = kafka.KafkaMessage(headers=dict(headers), key=event.key, value=body)
    agree(event, kafka.from_binary(message, JSONFormat(), CloudEvent))


@settings(deadline=None)
@given(ATTRIBUTES, DATA)
def test_we_read_the_sdks_kafka_message(attributes, data) -> None:
    """Binary mode, from the SDK to us; both see the same key."""
    theirs = CloudEvent({**attributes, "datacontenttype": data[0]}, data[1])
    message = kafka.to_binary(theirs, JSONFormat())
    event = Event.from_headers(message.headers.items(), message.value)
    agree(event, theirs)
    assert event.key == message.key


@settings(deadline=None)
@given(ATTRIBUTES, DATA)
def test_we_read_the_sdks_structured_kafka_message(attributes, data) -> None:
    """Structured mode in a record, told by the content type."""
    theirs = CloudEvent({**attributes, "datacontenttype": data[0]}, data[1])
    message = kafka.to_structured(theirs, JSONFormat())
    agree(Event.from_headers(message.headers.items(), message.value), theirs)
