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
    context = type("Context", (), {"memory": lambda self, name: walk.memory})()

    def run(step: str, *suspects, at_most: int = 200):
        walk.memory.step = step
        order = {"suspects": list(suspects), "assess_at_most": at_most}
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
