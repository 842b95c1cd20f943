"""Ids that sort by the time of their making."""

from __future__ import annotations

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentflow_kernel import event
from agentflow_kernel.event import Event, uuid7


def test_it_is_a_uuid_of_version_7() -> None:
    """The standard library reads it, and its first 48 bits are the present millisecond."""
    before = time.time_ns() // 1_000_000
    text = uuid7()
    found = uuid.UUID(text)
    assert str(found) == text
    assert found.version == 7
    assert found.variant == uuid.RFC_4122
    assert before <= found.int >> 80 <= before + 60_000


def test_ids_of_one_process_rise() -> None:
    """Also within a millisecond, and as text."""
    ids = [uuid7() for _ in range(20_000)]
    assert ids == sorted(set(ids))


def test_ids_rise_when_the_clock_goes_back(monkeypatch) -> None:
    """The clock is corrected now and then; the order of ids is not."""
    first = uuid7()
    monkeypatch.setattr(event._time, "time_ns", lambda: 0)
    second, third = uuid7(), uuid7()
    assert first < second < third


def test_ids_of_several_threads_differ_and_rise_in_each() -> None:
    """No two threads get the same id."""
    with ThreadPoolExecutor(8) as pool:
        shares = list(pool.map(lambda _: [uuid7() for _ in range(2_000)], range(8)))
    assert all(share == sorted(share) for share in shares)
    assert len({one for share in shares for one in share}) == 16_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_makes_ids_of_its_own() -> None:
    """Even when the lock was held at the moment of the fork."""
    reader, writer = os.pipe()
    with event._lock:
        child = os.fork()
        if child == 0:
            os.write(writer, uuid7().encode())
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with open(reader, "rb") as stream:
        text = stream.read().decode()
    assert uuid.UUID(text).version == 7
    assert text != uuid7()


def test_the_default_time_is_now_in_utc(monkeypatch) -> None:
    """To the microsecond, also when the second turns."""
    monkeypatch.setattr(event._time, "time_ns", lambda: 1_700_000_000_000_001_999)
    assert Event("t", id="1").time == "2023-11-14T22:13:20.000001Z"
    monkeypatch.setattr(event._time, "time_ns", lambda: 1_700_000_001_999_999_999)
    assert Event("t", id="1").time == "2023-11-14T22:13:21.999999Z"
