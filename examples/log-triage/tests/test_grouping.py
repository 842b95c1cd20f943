"""However the log was cut, the suspects are the same."""

from __future__ import annotations

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


@settings(deadline=None)
@given(messages=st.lists(MESSAGES | REPEATED | st.just("Bye"), max_size=60), size=st.integers(1, 12))
def test_any_batch_size_gives_the_same_suspects(module, messages: list[str], size: int) -> None:
    tally, group = module("parsing").tally, module("grouping").group
    lines = [(number, f"{HEAD.format(number)}{message}".encode()) for number, message in enumerate(messages, start=1)]
    batches = [lines[start : start + size] for start in range(0, len(lines), size)]
    assert group([tally(batch) for batch in batches]) == group([tally(lines)])


def found(module, *messages: str):
    lines = [f"{HEAD.format(number)}{message}".encode() for number, message in enumerate(messages, start=1)]
    return module("grouping").group([module("parsing").tally([(number, line)]) for number, line in enumerate(lines, 1)])


def failed(address: str, user: str = "root") -> str:
    return f"Failed password for {user} from {address} port 1 ssh2"


def test_those_with_the_most_failures_come_first_then_by_address(module) -> None:
    suspects = found(module, failed("b"), failed("a"), failed("c"), failed("c"))["suspects"]
    assert [suspect["address"] for suspect in suspects] == ["c", "a", "b"]


def test_an_address_that_only_logged_in_is_no_suspect(module) -> None:
    group = found(module, "Accepted password for a from 192.0.2.20 port 1 ssh2")
    assert (group["suspects"], group["sshd_lines"]) == ([], 1)


def test_only_logins_after_the_first_failure_count(module) -> None:
    login = "Accepted password for {} from 192.0.2.20 port 1 ssh2"
    (suspect,) = found(module, login.format("early"), failed("192.0.2.20"), login.format("late"))["suspects"]
    assert suspect["logins"] == {"count": 1, "users": ["late"], "lines": [3]}


def test_first_and_last_time_and_all_names_are_kept(module) -> None:
    (suspect,) = found(module, failed("a", "x"), failed("a", "y"), failed("a", "x"))["suspects"]
    assert (suspect["first"], suspect["last"]) == ("Mar  3 06:00:01", "Mar  3 06:00:03")
    assert (suspect["users"], suspect["lines"], suspect["failed_passwords"]) == (["x", "y"], [1, 2, 3], 3)


def test_nothing_gives_nothing(module) -> None:
    assert module("grouping").group([]) == {
        "lines": 0,
        "sshd_lines": 0,
        "long_lines": 0,
        "failed_passwords": 0,
        "suspects": [],
    }
