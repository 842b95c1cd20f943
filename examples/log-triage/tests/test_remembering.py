"""An address reads as seen before when an earlier run met it, and never because a step was executed twice."""

from __future__ import annotations

import asyncio

import pytest


def suspect(address: str, failed: int = 3, users: int = 1):
    return {
        "address": address,
        "failed_passwords": failed,
        "users": [f"user{number}" for number in range(users)],
        "first": "first",
        "last": f"last of {failed}",
        "lines": [1],
        "logins": {"count": 0, "users": [], "lines": []},
    }


@pytest.fixture
def seen(module, walk, tmp_path):
    """Execute the step with its memory; ``step`` is its key."""
    memories = {"seen": walk.memory, "followed": walk.followed}
    context = type("Context", (), {"memory": lambda self, name: memories[name]})()

    def run(step: str, *suspects, at_most: int = 200, log: str = "", ends: bool = False, touched=None):
        walk.memory.step = walk.followed.step = step
        chunk = {"state": log, "ends": ends} if log else None
        names = [each["address"] for each in suspects] if touched is None else touched
        order = {"suspects": list(suspects), "assess_at_most": at_most, "chunk": chunk, "touched": names}
        return asyncio.run(module("remembering").seen(order, context))

    return run


def test_an_unknown_address_is_remembered(seen, walk) -> None:
    assert seen("run-1", suspect("a"))["seen_before"] == [None]
    assert walk.memory.entries["a"].value == {"runs": 1, "failed_passwords": 3, "last": "last of 3"}


def test_a_later_run_is_told_what_the_last_one_found(seen) -> None:
    seen("run-1", suspect("a", 3))
    seen("run-2", suspect("a", 9), suspect("b"))
    found = seen("run-3", suspect("b"), suspect("a"))
    assert found["seen_before"][1] == {"runs": 2, "failed_passwords": 9, "last": "last of 9"}
    assert [brief["seen_before"] for brief in found["briefs"]] == found["seen_before"]


def test_a_step_executed_again_finds_what_it_found_before(seen, walk) -> None:
    first = seen("run-1", suspect("a"))
    remembered = dict(walk.memory.entries)
    assert seen("run-1", suspect("a")) == first
    assert walk.memory.entries == remembered


def test_a_step_broken_off_in_the_middle_is_completed(seen) -> None:
    seen("run-1", suspect("a"))  # the crash came before b
    assert seen("run-1", suspect("a"), suspect("b"))["seen_before"] == [None, None]


def test_briefs_are_bounded_and_everyone_is_remembered(seen, walk) -> None:
    found = seen("run-1", suspect("a", users=1_000), suspect("b"), at_most=1)
    (brief,) = found["briefs"]
    assert (len(brief["users"]), brief["user_count"]) == (10, 1_000)
    assert set(walk.memory.entries) == {"a", "b"}
    assert len(found["seen_before"]) == 2


def test_the_chunks_of_one_log_are_one_run(seen, walk) -> None:
    seen("run-0", suspect("a", 1))
    first = seen("chunk-1", suspect("a", 2), suspect("b", 2), log="x")["seen_before"]
    assert first == [{"runs": 1, "failed_passwords": 1, "last": "last of 1"}, None]
    assert seen("chunk-2", suspect("a", 9), suspect("b", 3), log="x")["seen_before"] == first
    assert seen("other-1", suspect("a", 2), suspect("b", 2), log="y")["seen_before"][0]["runs"] == 2
    assert seen("run-9", suspect("b", 2))["seen_before"] == [{"runs": 2, "failed_passwords": 2, "last": "last of 2"}]


def test_an_address_that_no_longer_fails_is_written_down_only_once(seen, walk) -> None:
    seen("chunk-1", suspect("a", 2), log="x")
    before = walk.memory.entries["a"]
    seen("chunk-2", suspect("a", 2), log="x", touched=[])
    assert walk.memory.entries["a"] is before


def test_a_run_at_the_same_time_finds_what_was_kept(seen, walk) -> None:
    """The other run has written its mark after this one looked what was kept."""
    seen("chunk-1", suspect("a", 2), log="x")
    listed, walk.followed.list = walk.followed.list, _nothing
    found = seen("chunk-2", suspect("a", 5), log="x")["seen_before"]
    walk.followed.list = listed
    assert found == [None]


async def _nothing(*_: object, **__: object) -> list[object]:
    return []


def test_what_an_agent_said_of_the_same_brief_is_not_asked_again(seen, walk) -> None:
    (brief,) = seen("chunk-1", suspect("a"), log="x")["briefs"]
    verdict = {"brief": brief, "verdict": {"output": {"severity": "low"}}}
    asyncio.run(walk.followed.put("x/verdict/a", verdict))
    found = seen("chunk-2", suspect("a"), suspect("b"), log="x")
    assert [each["address"] for each in found["briefs"]] == ["b"]
    assert found["verdicts"] == [verdict["verdict"], None]
    assert len(seen("chunk-3", suspect("a", 4), log="x")["briefs"]) == 1
    assert len(seen("chunk-4", suspect("a"), log="x", ends=True)["briefs"]) == 1
