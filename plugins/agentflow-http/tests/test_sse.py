"""Bytes become events, however they are split."""

from __future__ import annotations

from itertools import pairwise

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentflow_http.sse import EventSplitter
from agentflow_kernel.errors import ProtocolViolation

LIMITS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def split(*chunks: bytes, limit: int = 1_000) -> list[tuple[bytes, bytes]]:
    splitter = EventSplitter(limit)
    return [event for chunk in chunks for event in splitter.feed(chunk)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: one\n\n", [(b"", b"one")]),
        (b"event: say\ndata: one\n\ndata: two\n\n", [(b"say", b"one"), (b"", b"two")]),
        (b"data:one\ndata:  two\ndata\n\n", [(b"", b"one\n two\n")]),
        (b"data\n\n", [(b"", b"")]),
        (b"data:\n\n", [(b"", b"")]),
        (b"event: say\n\ndata: one\n\n", [(b"", b"one")]),
        (b": comment\ndata: one\n: data: two\n\n", [(b"", b"one")]),
        (b"id: 7\nretry: 5\nunknown: x\nDATA: x\ndata: one\n\n", [(b"", b"one")]),
        (b"data: one\r\n\r\ndata: two\r\rdata: three\n\n", [(b"", b"one"), (b"", b"two"), (b"", b"three")]),
        (b"\xef\xbb\xbfdata: one\n\n", [(b"", b"one")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: one\n\ndata: two\n\n", [(b"", b"two")]),
        (b"\n\n\ndata: one\n\n", [(b"", b"one")]),
        (b"event: a\nevent: b\ndata: one\n\n", [(b"b", b"one")]),
        (b"data: one\n", []),
        (b"data: one: two\n\n", [(b"", b"one: two")]),
        ("data: blå 青\n\n".encode(), [(b"", "blå 青".encode())]),
    ],
)
def test_streams_are_read_as_the_specification_says(stream, events) -> None:
    assert split(stream) == events
    assert split(*(bytes([byte]) for byte in stream)) == events


PIECES = st.sampled_from(
    [
        b"data",
        b"event",
        b":",
        b" ",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"data: x\n",
        "é青".encode(),
        b"\xef\xbb\xbf",
        b"",
        b"id",
    ]
)


@LIMITS
@given(st.lists(PIECES, max_size=30).map(b"".join), st.lists(st.integers(0, 60)))
def test_any_split_gives_the_same_events(stream, cuts) -> None:
    """Down to the middle of a character or of CR LF."""
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    chunks = [stream[start:end] for start, end in pairwise(places)]
    assert split(*chunks) == split(stream)


@LIMITS
@given(st.lists(PIECES.filter(lambda piece: b"\xef" not in piece and b"id" not in piece), max_size=30).map(b"".join))
def test_events_are_those_that_httpx2_reads(stream) -> None:
    """Of those with data: httpx2 gives events without any too, which the specification drops."""
    request = httpx2.Request("GET", "http://localhost")
    headers = {"content-type": "text/event-stream"}
    response = httpx2.Response(200, headers=headers, content=stream + b"\n\n", request=request)
    theirs = [(event.event.encode(), event.data.encode()) for event in httpx2.EventSource(response) if event.data]
    assert [(name or b"message", data) for name, data in split(stream + b"\n\n") if data] == theirs


@pytest.mark.parametrize(
    "stream",
    [
        b"data: " + b"x" * 1_001,
        b"data: " + b"x" * 1_001 + b"\n\n",
        b"x" * 1_001 + b"\n\n",
        b"data: " + b"x" * 600 + b"\ndata: " + b"x" * 600 + b"\n\n",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 5_000])
def test_what_grows_beyond_the_limit_is_refused_at_any_split(stream, size) -> None:
    with pytest.raises(ProtocolViolation, match="more than 1000 bytes"):
        split(*(stream[start : start + size] for start in range(0, len(stream), size)))


@pytest.mark.parametrize("size", [1, 7, 5_000])
def test_many_small_events_have_no_limit(size) -> None:
    stream = b"data: one\n\n" * 500
    assert len(split(*(stream[start : start + size] for start in range(0, len(stream), size)))) == 500
