"""However the log was cut, the suspects are the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

HEAD = "Mar  3 06:00:{:02} gateway sshd[1]: "
ADDRESSES = ["203.0.113.7", "203.0.113.8", "2001:db8::5"]
MESSAGES = st.builds(
    "{} {} from {} port 1 ssh2".format,
    st.sampled_from(
        ["Failed password for", "Failed password for invalid user", "Accepted password for", "Failed none for"]
    ),
    st.sampled_from(["root", "a", "b", "c from d"]),
    st.sampled_from(ADDRESSES),
)
REPEATED = st.builds("message repeated {} times: [ {}]".format, st.integers(0, 9), MESSAGES)
RULE = {"lines": 5, "within_s": 60, "keep_lines": 100, "keep_bursts": 100}


def group(module, *tallies):
    """The group of several tallies."""
    return module("grouping").group(module("summing").folded(tallies, RULE))


@settings(deadline=None)
@given(messages=st.lists(MESSAGES | REPEATED | st.just("Bye"), max_size=60), size=st.integers(1, 12))
def test_any_batch_size_gives_the_same_suspects(module, messages: list[str], size: int) -> None:
    tally = module("parsing").tally
    lines = [(number, f"{HEAD.format(number)}{message}".encode()) for number, message in enumerate(messages, start=1)]
    batches = [lines[start : start + size] for start in range(0, len(lines), size)]
    assert group(module, *(tally(batch) for batch in batches)) == group(module, tally(lines))
    middle = len(batches) // 2
    halves = [
        module("summing").folded([tally(batch) for batch in part], RULE)
        for part in (batches[:middle], batches[middle:])
    ]
    assert group(module, *halves) == group(module, tally(lines))


def found(module, *messages: str):
    lines = [f"{HEAD.format(number)}{message}".encode() for number, message in enumerate(messages, start=1)]
    return group(module, *(module("parsing").tally([(number, line)]) for number, line in enumerate(lines, 1)))


def failed(address: str, user: str = "root") -> str:
    return f"Failed password for {user} from {address} port 1 ssh2"


def test_those_with_the_most_failures_come_first_then_by_address(module) -> None:
    suspects = found(module, failed("b"), failed("a"), failed("c"), failed("c"))["suspects"]
    assert [suspect["address"] for suspect in suspects] == ["c", "a", "b"]


def test_an_address_that_only_logged_in_is_no_suspect(module) -> None:
    one = found(module, "Accepted password for a from 192.0.2.20 port 1 ssh2")
    assert (one["suspects"], one["sshd_lines"]) == ([], 1)


def test_only_logins_after_the_first_failure_count(module) -> None:
    login = "Accepted password for {} from 192.0.2.20 port 1 ssh2"
    (suspect,) = found(module, login.format("early"), failed("192.0.2.20"), login.format("late"))["suspects"]
    assert suspect["logins"] == {"count": 1, "users": ["late"], "lines": [3]}


def test_first_and_last_time_and_all_names_are_kept(module) -> None:
    (suspect,) = found(module, failed("a", "x"), failed("a", "y"), failed("a", "x"))["suspects"]
    assert (suspect["first"], suspect["last"]) == ("Mar  3 06:00:01", "Mar  3 06:00:03")
    assert (suspect["users"], suspect["lines"], suspect["failed_passwords"]) == (["x", "y"], [1, 2, 3], 3)


def test_nothing_gives_nothing(module) -> None:
    found = group(module)
    assert not any(found.values()), found


@pytest.mark.parametrize(
    ("moment", "zoned", "text"),
    [
        (1_438_197_616_690_000, False, "2015-07-29 19:20:16.690"),
        (1_133_671_664_000_000, False, "2005-12-04 04:47:44"),
        (1_133_671_664_000_001, True, "2005-12-04 04:47:44.000001Z"),
        (-2_053_098_252_000_000, False, "Dec 10 06:55:48"),
    ],
)
def test_times_are_shown_as_exactly_as_they_are(module, moment: int, zoned: bool, text: str) -> None:
    assert module("grouping").shown(moment, zoned=zoned) == text
