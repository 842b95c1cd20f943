"""The source `cron`: which moments it tells of, by a clock that is moved by hand."""

from __future__ import annotations

import random
import sys
import zoneinfo
from contextlib import aclosing
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.errors import InputInvalid, UsageError
from agentflow_kernel.testing import FakeClock
from agentflow_sources._timetable import Timetable
from agentflow_sources.cron import CronSource
from agentflow_sources.settings import CronSettings

pytestmark = pytest.mark.anyio

BERLIN = "Europe/Berlin"


def moment(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def make(clock: FakeClock, **settings) -> CronSource:
    return CronSource(CronSettings(**settings), PluginContext("nightly", clock=clock, random=random.Random(0)))


async def take(source: CronSource, count: int, cursor=None) -> list:
    async with aclosing(source.events(cursor)) as items:
        return [await anext(items) for _ in range(count)]


async def told(start: int, count: int, cursor=None, **settings) -> list:
    """Scheduled time and missed times of the first events after a start."""
    items = await take(make(FakeClock(start, auto=True), **settings), count, cursor)
    return [(item.event.data["scheduled"], item.event.data["missed"]) for item in items]


async def test_an_event_says_which_moment_was_reached() -> None:
    clock = FakeClock(moment("2026-01-31T23:59:30"), auto=True)
    (item,) = await take(make(clock, expression="0 6 * * *", timezone=BERLIN), 1)
    assert item.event.type == "dev.agentflow.time.reached"
    assert item.event.data == {
        "scheduled": "2026-02-01T06:00:00+01:00",
        "fired": "2026-02-01T05:00:00Z",
        "expression": "0 6 * * *",
        "timezone": BERLIN,
        "missed": 0,
    }
    assert (item.event.id, item.event.source) == ("2026-02-01T05:00:00Z", "urn:agentflow:cron:nightly")
    assert item.cursor == {"scheduled": moment("2026-02-01T05:00:00")}


async def test_a_fixed_hour_that_does_not_exist_is_told_of_at_the_end_of_the_gap() -> None:
    """In Berlin 2026-03-29 goes from 02:00 to 03:00."""
    assert await told(moment("2026-03-28T12:00", BERLIN), 2, expression="30 2 * * *", timezone=BERLIN) == [
        ("2026-03-29T03:00:00+02:00", 0),
        ("2026-03-30T02:30:00+02:00", 0),
    ]


async def test_a_fixed_hour_that_comes_twice_is_told_of_once() -> None:
    """In Berlin 2026-10-25 has 02:00 to 03:00 twice."""
    assert await told(moment("2026-10-24T12:00", BERLIN), 3, expression="30 2 * * *", timezone=BERLIN) == [
        ("2026-10-25T02:30:00+02:00", 0),
        ("2026-10-26T02:30:00+01:00", 0),
        ("2026-10-27T02:30:00+01:00", 0),
    ]


async def test_what_runs_every_half_hour_runs_by_the_time_that_passes() -> None:
    """No half hour is left out in spring, and none of the doubled hour in autumn."""
    spring = await told(moment("2026-03-29T01:10", BERLIN), 3, expression="*/30 * * * *", timezone=BERLIN)
    assert [scheduled for scheduled, _ in spring] == [
        "2026-03-29T01:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-29T03:30:00+02:00",
    ]
    autumn = await told(moment("2026-10-25T01:40", BERLIN), 5, expression="*/30 * * * *", timezone=BERLIN)
    assert [scheduled for scheduled, _ in autumn] == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T02:30:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]


async def test_a_start_in_the_second_of_two_equal_hours_does_not_repeat_the_first() -> None:
    """At 02:15 in winter time 02:30 is over, in summer time."""
    second = moment("2026-10-25T01:15")
    assert await told(second, 1, expression="30 2 * * *", timezone=BERLIN) == [("2026-10-26T02:30:00+01:00", 0)]


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("once", [("2026-01-04T06:00:00+00:00", 2), ("2026-01-05T06:00:00+00:00", 0)]),
        ("skip", [("2026-01-05T06:00:00+00:00", 3), ("2026-01-06T06:00:00+00:00", 0)]),
        ("all", [(f"2026-01-0{day}T06:00:00+00:00", 0) for day in (2, 3, 4, 5)]),
    ],
)
async def test_missed_times_are_told_of_as_the_settings_say(missed, expected) -> None:
    """Three were missed since the cursor."""
    cursor = {"scheduled": moment("2026-01-01T06:00")}
    start = moment("2026-01-04T12:00")
    assert await told(start, len(expected), cursor, expression="0 6 * * *", missed=missed) == expected


async def test_only_the_latest_missed_times_are_told_of() -> None:
    """A year of minutes is no more work than the bound."""
    cursor, start = {"scheduled": moment("2025-01-01T00:00")}, moment("2026-01-01T00:00")
    found = await told(start, 3, cursor, expression="* * * * *", missed="all", max_missed=2)
    assert [scheduled for scheduled, _ in found] == [
        "2025-12-31T23:59:00+00:00",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:01:00+00:00",
    ]
    assert await told(start, 1, cursor, expression="* * * * *") == [("2026-01-01T00:00:00+00:00", 999)]


async def test_a_clock_that_is_set_back_repeats_nothing() -> None:
    clock = FakeClock(moment("2026-01-01T05:59:50"), auto=True)
    async with aclosing(make(clock, expression="0 * * * *").events()) as items:
        first = await anext(items)
        clock.jump(-3_600)
        second = await anext(items)
    assert [item.event.data["scheduled"] for item in (first, second)] == [
        "2026-01-01T06:00:00+00:00",
        "2026-01-01T07:00:00+00:00",
    ]
    assert max(clock.slept) <= 30


async def test_an_expression_with_seconds_is_told_of_by_the_second() -> None:
    found = await told(moment("2026-01-01T00:00:00"), 2, expression="*/20 * * * * *")
    assert [scheduled[-14:] for scheduled, _ in found] == ["00:00:20+00:00", "00:00:40+00:00"]


async def test_a_time_zone_that_is_not_there_is_an_error_that_says_what_to_do(monkeypatch) -> None:
    """A wrong name, or a machine without the database."""
    for zone in ("Europe/Bielefeld", "../etc/passwd"):
        with pytest.raises(InputInvalid, match=f"no time zone '{zone}' on this machine.*tzdata"):
            await told(0, 1, expression="* * * * *", timezone=zone)
    monkeypatch.setitem(sys.modules, "tzdata.zoneinfo.Antarctica", None)
    try:
        zoneinfo.reset_tzpath(to=())
        with pytest.raises(InputInvalid, match="no time zone 'Antarctica/Troll'"):
            await told(0, 1, expression="* * * * *", timezone="Antarctica/Troll")
    finally:
        zoneinfo.reset_tzpath()
    assert await told(0, 1, expression="* * * * *") == [("1970-01-01T00:01:00+00:00", 0)]


async def test_closing_ends_a_wait_and_a_foreign_cursor_is_refused() -> None:
    clock = FakeClock()
    source = make(clock, expression="0 0 1 1 *")
    async with anyio.create_task_group() as group:

        async def read() -> None:
            assert [item async for item in source.events()] == []

        group.start_soon(read)
        while not clock._sleepers:  # noqa: ASYNC110 -- a thread ends the wait, by real time
            await anyio.sleep(0.001)
        await source.aclose()
    with pytest.raises(UsageError, match="has been closed"):
        await take(source, 1)
    for cursor in ({}, [], {"scheduled": "x"}, {"scheduled": True}):
        with pytest.raises(InputInvalid, match="is no cursor of this source"):
            await take(make(FakeClock(), expression="* * * * *"), 1, cursor)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["30 2 * * *", "*/20 * * * *", "15 1-3 * * *", "0 */2 * * *", "45 2 29 3 *", "10 2 * * SUN"]),
    st.sampled_from([moment("2026-03-28T12:00"), moment("2026-10-24T12:00"), moment("2026-06-01T00:00")]),
    st.integers(0, 200_000),
    st.integers(0, 200_000),
    st.integers(1, 50),
)
def test_the_latest_times_are_the_last_of_all_times(expression, base, before, after, limit) -> None:
    """Wherever the looking back begins, also within a change of the clocks."""
    table = Timetable(expression, BERLIN, "x")
    since, until = base + min(before, after), base + max(before, after)
    every = []
    for found in table.after(since):
        if found > until:
            break
        every.append(found)
    assert table.latest(since, until, limit) == every[-limit:]


def test_utc_needs_no_database() -> None:
    assert Timetable("0 0 * * *", "UTC", "x").next(0) == 86_400
    assert datetime.fromtimestamp(86_400, UTC).day == 2
