"""Each line of sshd counts as the rule says, and no line, however strange, does any harm."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentflow_kernel.errors import StorageUnavailable

if TYPE_CHECKING:
    from pathlib import Path

HEAD = b"Mar  3 06:00:15 gateway sshd[20001]: "
FAILED = b"Failed password for root from 203.0.113.7 port 40970 ssh2"


@pytest.fixture(scope="module")
def parsing(module):
    return module("parsing")


def tally(parsing, *lines: bytes) -> Any:
    return parsing.tally(enumerate(lines, start=1))


def one(parsing, *messages: bytes) -> Any:
    """What is said of the only address in these messages."""
    (seen,) = tally(parsing, *(HEAD + message for message in messages))["addresses"]
    return seen


@pytest.mark.parametrize(
    ("message", "user", "address"),
    [
        (FAILED, "root", "203.0.113.7"),
        (b"Failed password for invalid user admin from 203.0.113.7 port 1 ssh2", "admin", "203.0.113.7"),
        (b"Failed password for invalid user  0101 from 203.0.113.7 port 1 ssh2", " 0101", "203.0.113.7"),
        (b"Failed password for invalid user  from 203.0.113.7 port 1 ssh2", "", "203.0.113.7"),
        (b"Failed password for invalid user a from b from 2001:db8::5 port 1 ssh2", "a from b", "2001:db8::5"),
        (
            b"Failed password for invalid user x from 192.0.2.1 port 22 ssh2 from 203.0.113.7 port 1 ssh2",
            "x from 192.0.2.1 port 22 ssh2",
            "203.0.113.7",
        ),
        (b"Failed password for root from fe80::1%eth0 port 1 ssh2", "root", "fe80::1%eth0"),
        (b"Failed password for root from dial-7.example.net port 1 ssh2", "root", "dial-7.example.net"),
        (b"Failed password for root from UNKNOWN port 65535", "root", "UNKNOWN"),
        (b"Failed password for caf\xc3\xa9 from 203.0.113.7 port 1 ssh2", "café", "203.0.113.7"),
        (b"Failed password for \xff from 203.0.113.7 port 1 ssh2", "\\xff", "203.0.113.7"),
    ],
)
def test_a_failed_password_counts_one_for_its_user_and_address(parsing, message, user, address) -> None:
    seen = one(parsing, message)
    assert (seen["address"], seen["failed_passwords"], seen["users"]) == (address, 1, [user])


def test_a_repeated_message_counts_as_often_as_it_says(parsing) -> None:
    seen = one(parsing, FAILED, b"message repeated 5 times: [ " + FAILED + b"]")
    assert (seen["failed_passwords"], seen["lines"]) == (6, [1, 2])


@pytest.mark.parametrize(
    "line",
    [
        HEAD + b"Failed none for invalid user admin from 203.0.113.7 port 1 ssh2",
        HEAD + b"Failed publickey for root from 203.0.113.7 port 1 ssh2",
        HEAD + b"Invalid user admin from 203.0.113.7",
        HEAD + b"input_userauth_request: invalid user Failed password for root from 203.0.113.7 port 1 ssh2 [preauth]",
        HEAD + b"Failed password for root from 203.0.113.7 port 1 ssh2 [preauth",
        HEAD + b"Failed password for root from <script> port 1 ssh2",
        HEAD + b"message repeated 0 times: [ " + FAILED + b"]",
        b"Mar  3 06:00:15 gateway su[1]: " + FAILED,
        b"Mar  3 06:00:15 gateway app[1]: sshd[20001]: " + FAILED,
        FAILED,
        b"",
        b"\0\xff\r\n",
    ],
)
def test_other_lines_count_nothing(parsing, line: bytes) -> None:
    assert tally(parsing, line)["addresses"] == []


@pytest.mark.parametrize(
    ("head", "time"),
    [
        (b"Mar  3 06:00:15 gateway sshd[1]: ", "Mar  3 06:00:15"),
        (b"Mar 13 2026 06:00:15 gateway sshd[1]: ", "Mar 13 2026 06:00:15"),
        (b"<38>Mar 13 06:00:15 gateway sshd[1]: ", "Mar 13 06:00:15"),
        (b"2026-03-03T06:00:15.123456+01:00 gateway sshd-session[1]: ", "2026-03-03T06:00:15.123456+01:00"),
        (b"Mar  3 06:00:15 gateway sshd: ", "Mar  3 06:00:15"),
    ],
)
def test_the_time_is_kept_as_the_log_has_it(parsing, head: bytes, time: str) -> None:
    (seen,) = tally(parsing, head + FAILED)["addresses"]
    assert (seen["first"], seen["last"]) == (time, time)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_lines_may_end_in_any_way(parsing, end: bytes) -> None:
    (seen,) = tally(parsing, HEAD + FAILED + end)["addresses"]
    assert seen["failed_passwords"] == 1


def test_names_are_distinct_and_in_order_and_line_numbers_few(parsing) -> None:
    tries = [b"Failed password for %s from 203.0.113.7 port 1 ssh2" % user for user in (b"b", b"a", b"b", b"c") * 9]
    seen = one(parsing, *tries)
    assert (seen["users"], seen["lines"]) == (["b", "a", "c"], [1, 2, 3, 4, 5])


def test_logins_are_told_apart_by_the_first_failure(parsing) -> None:
    login = b"Accepted password for %s from 203.0.113.7 port 1 ssh2"
    seen = one(parsing, login % b"a", FAILED, login % b"b", login % b"b")
    assert seen["early"] == {"count": 1, "users": ["a"], "lines": [1]}
    assert seen["late"] == {"count": 2, "users": ["b"], "lines": [3, 4]}


def test_a_key_is_no_guessed_password(parsing) -> None:
    key = b"Accepted publickey for root from 203.0.113.7 port 1 ssh2: ED25519 SHA256:AAAA"
    assert one(parsing, FAILED, key)["late"]["count"] == 0


def test_lines_and_lines_of_sshd_are_counted(parsing) -> None:
    found = tally(parsing, HEAD + FAILED, b"Mar  3 06:00:15 gateway cron[1]: sshd", HEAD + b"Bye", b"?")
    assert (found["lines"], found["sshd_lines"], found["long_lines"]) == (4, 2, 0)


def batch_of(text: bytes, **changes: int) -> dict[str, int]:
    lines = text.count(b"\n") + (not text.endswith(b"\n"))
    return {"offset": 0, "length": len(text), "first_line": 1, "lines": lines, "crc32": zlib.crc32(text), **changes}


def test_parse_reads_its_batch_and_no_more(parsing, tmp_path: Path) -> None:
    text = HEAD + FAILED + b"\r\n"
    log = tmp_path / "auth.log"
    log.write_bytes(text * 3)
    found = parsing.parse({"path": str(log), "batch": batch_of(text, offset=len(text), first_line=2)})
    assert (found["lines"], found["addresses"][0]["lines"]) == (1, [2])


@pytest.mark.parametrize("extra", [0, 1, 1_000, 10_000_000])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_that_is_too_long_is_left_out_and_counted(parsing, tmp_path: Path, extra: int, end: bytes) -> None:
    long = b"x" * (parsing.LINE_BYTES + extra)
    text = HEAD + FAILED + b"\n" + long + end
    log = tmp_path / "auth.log"
    log.write_bytes(text)
    found = parsing.parse({"path": str(log), "batch": batch_of(text)})
    assert (found["lines"], found["long_lines"]) == (2, int(extra > 0 or end == b"\n"))
    assert found["addresses"][0]["failed_passwords"] == 1


def test_parse_refuses_a_log_that_has_changed_since_it_was_cut(parsing, tmp_path: Path) -> None:
    text = HEAD + FAILED + b"\n"
    log = tmp_path / "auth.log"
    for now in (text.upper(), text[:-5], b""):
        log.write_bytes(now)
        with pytest.raises(StorageUnavailable, match="has changed"):
            parsing.parse({"path": str(log), "batch": batch_of(text)})
    log.unlink()
    with pytest.raises(StorageUnavailable, match="No such file"):
        parsing.parse({"path": str(log), "batch": batch_of(text)})


@settings(deadline=None)
@given(st.lists(st.binary(max_size=80)))
@example([HEAD + b"Failed password for \xed\xa0\x80 from 203.0.113.7 port 1 ssh2"])
@example([HEAD + b"message repeated 99999999999999999999 times: [ " + FAILED + b"]"])
@example([HEAD + b"Failed password for " + b" from " * 1_000])
def test_no_bytes_do_harm(parsing, lines: list[bytes]) -> None:
    for prefix in (
        b"",
        HEAD,
        HEAD + b"Failed password for ",
        HEAD + b"message repeated 2 times: [ Failed password for ",
    ):
        found = tally(parsing, *(prefix + line for line in lines))
        assert found["lines"] == len(lines)
        for seen in found["addresses"]:
            str(seen).encode()


@settings(deadline=None)
@given(user=st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=30))
@example(user="root from 192.0.2.1 port 22 ssh2")
@example(user="] message repeated 2 times: [ ")
def test_any_user_name_comes_out_as_it_went_in(parsing, user: str) -> None:
    failed = f"Failed password for invalid user {user} from 203.0.113.7 port 1 ssh2".encode()
    seen = one(parsing, failed, b"message repeated 2 times: [ " + failed + b"]")
    assert (seen["address"], seen["users"], seen["failed_passwords"]) == ("203.0.113.7", [user], 3)
