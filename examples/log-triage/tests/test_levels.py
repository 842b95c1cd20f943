"""A line with a time and a level is known by both, whatever family of logs it is from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

SYSLOG = "1904-12-10 06:55:48"


@pytest.fixture(scope="module")
def parsing(module):
    return module("parsing")


@pytest.mark.parametrize(
    ("line", "level", "time", "template"),
    [
        ("[Sun Dec 04 04:47:44 2005] [error] child 6 failed", "error", "2005-12-04 04:47:44", "child <n> failed"),
        (
            "[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35:tid 43] File does not exist: /usr/x",
            "error",
            "2011-09-09 10:42:29.902022",
            "[pid <n>:tid <n>] File does not exist: <path>",
        ),
        ("2015/12/10 06:55:48 [crit] 123#0: *1 connect()", "crit", "2015-12-10 06:55:48", "<n>#<n>: *<n> connect()"),
        (
            "2015-07-29 19:04:29,071 - ERROR [Worker:188978561024:Manager@688] - from /10.10.34.11:3888 left",
            "error",
            "2015-07-29 19:04:29.071",
            "[Worker:<n>:Manager@<n>] - from <ip> left",
        ),
        ("2015-07-29 17:41:44,747 - app.error - CRITICAL - no", "critical", "2015-07-29 17:41:44.747", "no"),
        ("2015-07-29 17:41:44,747 [main] SEVERE com.x - y", "severe", "2015-07-29 17:41:44.747", "com.x - y"),
        ("2015-07-29T17:41:44.747Z ERROR [main] x", "error", "2015-07-29 17:41:44.747Z", "[main] x"),
        ("2015-07-29T17:41:44+02:00 host app[12]: error: disk 5", "error", "2015-07-29 15:41:44Z", "disk <n>"),
        ("2015-07-29T17:41:44Z\tfatal\tmain.go:12\tx", "fatal", "2015-07-29 17:41:44Z", "main.go:<n> x"),
        ("2024-01-02 03:04:05.12 UTC [99] PANIC:  could not", "panic", "2024-01-02 03:04:05.12", "could not"),
        ("2024-01-02 03:04:05 | error | mod:12 - x", "error", "2024-01-02 03:04:05", "mod:<n> - x"),
        ("2016-09-28 04:30:31, Error          CBS  no", "error", "2016-09-28 04:30:31", "CBS no"),
        ("[2024-01-02 03:04:05] app.ALERT: x", "alert", "2024-01-02 03:04:05", "x"),
        ("ERROR: 2024-01-02 03:04:05 x", "error", "2024-01-02 03:04:05", "x"),
        ("17/06/09 20:10:40 ERROR exec.X: y", "error", "2017-06-09 20:10:40", "exec.X: y"),
        ("081109 203615 148 ERROR dfs.X: y", "error", "2008-11-09 20:36:15", "dfs.X: y"),
        ("Dec 10 06:55:48 host app[1]: ERROR 7 lost", "error", SYSLOG, "<n> lost"),
        ("Dec 10 06:55:48 host sshd[2]: error: from 192.0.2.7: 3: x", "error", SYSLOG, "from <ip>: <n>: x"),
        ("Dec 10 06:55:48 host daemon.err app: x", "err", SYSLOG, "x"),
        ("<11>Dec 10 06:55:48 host app: x 0xdeadbeef", "err", SYSLOG, "x <hex>"),
        ("<8>1 2015-07-29T17:41:44Z host app: x", "emerg", "2015-07-29 17:41:44Z", "x"),
        ('time=2024-01-02T03:04:05Z level=error msg="a \\"b\\" 5"', "error", "2024-01-02 03:04:05Z", 'a \\"b\\" <n>'),
        ("2024-01-02 03:04:05 worker level=error msg=x", "error", "2024-01-02 03:04:05", "x"),
        ("Dec 10 06:55:48 host app: level=crit msg=x", "crit", SYSLOG, "x"),
        ("lvl=fatal ts=1700000000.5 msg=x", "fatal", "2023-11-14 22:13:20.5Z", "x"),
        ('{"level":"ERROR","ts":1700000000123,"msg":"x"}', "error", "2023-11-14 22:13:20.123Z", "x"),
        ('{"time":"2024-01-02T03:04:05Z","level":50,"msg":"a"}', "error", "2024-01-02 03:04:05Z", "a"),
        ('{"@timestamp":"2024-01-02T03:04:05Z","log":{"level":"emerg"}}', "emerg", "2024-01-02 03:04:05Z", ""),
        ('Dec 10 06:55:48 host app[1]: {"level":"error","msg":"q"}', "error", SYSLOG, "q"),
    ],
)
def test_an_error_line_is_known_with_its_time_and_message(parsing, line, level, time, template) -> None:
    said = parsing.said_by(line)
    assert said is not None
    assert said.level == level
    assert said.level in parsing.ERRORS
    moment = datetime.fromisoformat(time.removesuffix("Z") + "+00:00") - datetime(1970, 1, 1, tzinfo=UTC)
    assert parsing.moment_of(said.time) == (moment // timedelta(microseconds=1), time.endswith("Z"))
    assert parsing.template_of(said.level, said.message) == f"{level}: {template}".strip()


@pytest.mark.parametrize(
    "line",
    [
        "2015-07-29 17:41:44,747 - WARN  [Q] - ERROR in state",
        "[Sun Dec 04 04:47:44 2005] [notice] error: x",
        "Dec 10 06:55:48 host app: warning: error: x",
        "Dec 10 06:55:48 host sshd[1]: Invalid user ERROR from 192.0.2.7",
        "Dec 10 06:55:48 host app[1]: Connection error",
        '{"level":"info","time":1,"msg":"error"}',
        '{"level":30,"time":1}',
        "level=warning time=2024-01-02T03:04:05Z msg=error",
        "2024-01-02 03:04:05 all errors gone",
        "2024-01-02 03:04:05 INFO set level=ERROR",
        "Dec 10 06:55:48 host sshd[1]: Invalid user level=error from 192.0.2.7",
        "Dec 10 06:55:48 host sshd[1]: message repeated 2 times: [ error: x]",
        "2024-13-45 03:04:05 ERROR no such day",
        "ERROR no time",
        "    at java.lang.Error(Error.java:5)",
        '{"level":"error","time":NaN}',
        '{"level":"error","time":Infinity}',
        '{"level":"error","time":-5}',
        '{"level":"error","time":"soon"}',
        '{"level":"error"}',
        "{" * 50_000,
        "",
    ],
)
def test_other_lines_are_no_errors(parsing, line: str) -> None:
    tally = parsing.tally([(1, line.encode())])
    assert (tally["error_lines"], tally["errors"]["points"]) == (0, "")


@settings(deadline=None)
@given(
    head=st.sampled_from(
        ["", "2024-01-02 03:04:05 ERROR ", "{", "level=error time=", '{"level":"error","ts":', "<11>"]
    ),
    rest=st.text() | st.floats().map(str) | st.integers().map(str) | st.dates().map(str),
)
@example(head='{"level":"error","ts":', rest="1" * 400 + "}")
@example(head="level=error time=", rest="0001-01-01T00:00:00+14:00")
@example(head="level=error time=", rest="9999-12-31T23:59:59-14:00")
def test_no_line_does_harm(module, head: str, rest: str) -> None:
    tally = module("parsing").tally([(1, (head + rest).encode("utf-8", "surrogatepass"))])
    summing, rule = module("summing"), {"lines": 2, "within_s": 60, "keep_lines": 1, "keep_bursts": 1}
    found: Any = summing.folded([tally, tally], rule)
    assert found["error_lines"] == 2 * tally["error_lines"]


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ("user 4f9c1a2b-1111-2222-3333-0123456789ab left", "user <id> left"),
        ("from 2001:db8:bad:0:0:0:0:5 and 10.0.0.1:80", "from <ip> and <ip>"),
        ("GET https://example.net/a?b=1 took 3.5 ms", "GET <path> took <n> ms"),
        ("block blk_-1608999687919862906 of worker12345", "block blk_<n> of worker<n>"),
        ("jk2_init() child 17 in slot 6", "jk2_init() child <n> in slot <n>"),
        (r"open C:\logs\a.txt: cafe0001", "open <path>: <hex>"),
    ],
)
def test_what_differs_between_messages_is_masked(parsing, message: str, template: str) -> None:
    assert parsing.template_of("error", message) == f"error: {template}"
