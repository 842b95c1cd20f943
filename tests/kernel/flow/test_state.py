"""Shared state: views that see a snapshot, commits that are atomic, conflicts that have names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow_kernel.errors import StateConflict
from agentflow_kernel.flow import SharedState
from agentflow_kernel.flow.state import copied


def test_a_view_sees_its_own_writes_and_nobody_elses() -> None:
    """Until the commit, a write belongs to the visit that made it."""
    state = SharedState({"a": 1})
    one, other = state.view("one"), state.view("other")
    one.set("a", 2)
    assert (one.get("a"), other.get("a"), state.snapshot()) == (2, 1, {"a": 1})


def test_a_commit_makes_all_writes_visible_together() -> None:
    """One commit is one new version, however many keys it writes."""
    state = SharedState()
    view = state.view("parse")
    view.update({"a": 1}, b=2)
    view.delete("c")
    assert state.version == 0
    assert view.commit() == {"a": [1], "b": [2], "c": []}
    assert (state.snapshot(), state.version) == ({"a": 1, "b": 2}, 1)


def test_a_view_that_is_dropped_leaves_nothing() -> None:
    """A failed visit commits nothing."""
    state = SharedState({"a": 1})
    view = state.view("parse")
    view.set("a", 2)
    view.delete("a")
    assert (state.snapshot(), state.version) == ({"a": 1}, 0)


def test_a_commit_without_writes_changes_nothing() -> None:
    """The version grows only with a change."""
    state = SharedState({"a": 1})
    assert state.view("parse").commit() == {}
    assert state.version == 0


def test_reading_falls_back_to_the_default_only_when_the_key_is_absent() -> None:
    """A stored ``None`` is a value."""
    view = SharedState({"none": None, "gone": 1}).view("parse")
    view.delete("gone")
    assert view.get("none", "default") is None
    assert view.get("gone", "default") == "default"
    assert view.get("never") is None
    assert ("none" in view, "gone" in view, "never" in view) == (True, False, False)


def test_change_writes_what_the_function_makes_of_the_value() -> None:
    """Counting is one call."""
    view = SharedState({"count": 1}).view("parse")
    assert view.change("count", lambda value: value + 1) == 2
    assert view.change("new", lambda value: value + 1, 0) == 1
    assert view.snapshot() == {"count": 2, "new": 1}


def test_a_snapshot_of_a_view_holds_its_writes_and_not_its_deletions() -> None:
    """What ``snapshot`` shows is what ``get`` would give."""
    view = SharedState({"a": 1, "b": 2}).view("parse")
    view.set("c", 3)
    view.delete("a")
    assert view.snapshot() == {"b": 2, "c": 3}


def test_two_writers_of_one_key_at_once_are_a_conflict_that_names_both() -> None:
    """Neither write wins by being later."""
    state = SharedState()
    one, other = state.view("one"), state.view("other")
    one.set("total", 1)
    other.set("total", 2)
    one.commit()
    with pytest.raises(StateConflict, match="State key 'total' was written by 'one' and 'other'") as caught:
        other.commit()
    assert (caught.value.key, caught.value.nodes) == ("total", ("one", "other"))
    assert state.snapshot() == {"total": 1}


def test_a_conflict_leaves_nothing_of_the_later_commit() -> None:
    """Also keys that nobody else wrote stay as they were."""
    state = SharedState()
    one, other = state.view("one"), state.view("other")
    one.set("total", 1)
    other.update(fine=1, total=2)
    one.commit()
    with pytest.raises(StateConflict, match="total"):
        other.commit()
    assert state.snapshot() == {"total": 1}


def test_a_deletion_conflicts_like_any_other_write() -> None:
    """Removing what another has just written would lose it."""
    state = SharedState({"a": 1})
    one, other = state.view("one"), state.view("other")
    one.set("a", 2)
    other.delete("a")
    one.commit()
    with pytest.raises(StateConflict, match="'a'"):
        other.commit()


def test_writers_of_different_keys_do_not_disturb_each_other() -> None:
    """Views of the same moment merge when their keys differ."""
    state = SharedState()
    one, other = state.view("one"), state.view("other")
    one.set("a", 1)
    other.set("b", 2)
    one.commit()
    other.commit()
    assert (state.snapshot(), state.version) == ({"a": 1, "b": 2}, 2)


def test_a_view_that_began_after_a_commit_may_write_its_keys_again() -> None:
    """One after the other is no conflict."""
    state = SharedState()
    for turn in range(3):
        view = state.view(f"turn{turn}")
        view.change("count", lambda value: value + 1, 0)
        view.commit()
    assert state.snapshot() == {"count": 3}


keys = st.sampled_from("abc")
writes = st.lists(st.tuples(keys, st.one_of(st.none(), st.integers(0, 9))), max_size=5)


@given(st.lists(writes, max_size=6))
@settings(max_examples=50)
def test_differences_replayed_give_the_same_state(visits: list[list[tuple[str, int | None]]]) -> None:
    """A resumed run has no other source: what ``commit`` returns is the whole change."""
    state, replayed = SharedState(), SharedState()
    for number, visit in enumerate(visits):
        view = state.view(f"visit{number}")
        for key, value in visit:
            if value is None:
                view.delete(key)
            else:
                view.set(key, value)
        replayed.apply(view.commit(), node=f"visit{number}")
    assert (state.snapshot(), state.version) == (replayed.snapshot(), replayed.version)


def test_what_a_visit_changes_inside_a_value_is_its_own_until_it_is_set() -> None:
    """Also of what it has written itself; a value that holds itself is no trap."""
    ring: list[object] = []
    ring.append(ring)
    state = SharedState({"items": [[1]], "ring": ring})
    one, other = state.view("one"), state.view("other")
    found = one.get("items")
    found[0].append(2)
    assert (one.get("items"), other.get("items"), state.snapshot()["items"]) == ([[1]], [[1]], [[1]])
    one.set("items", found)
    one.get("items").append(3)
    one.commit()
    assert state.get("items") == [[1, 2]]
    around = other.get("ring")
    assert around is not ring
    assert around[0] is around


@pytest.mark.parametrize("kind", [list, dict])
def test_a_copy_is_as_deep_as_what_is_copied(kind: type) -> None:
    """Deeper than Python can call itself; what stands twice, or in itself, does so in the copy."""
    twice = kind()
    deep = [twice, twice]
    for _ in range(3000):
        deep = [deep] if kind is list else {"in": deep}
    given = copied([deep, deep])
    assert given[0] is given[1] is not deep
    deep_copy = given[0]
    for _ in range(3000):
        assert deep_copy is not deep
        deep_copy, deep = (part[0] if kind is list else part["in"] for part in (deep_copy, deep))
    assert deep_copy == deep
    assert deep_copy[0] is deep_copy[1] is not twice
    itself: list[object] = []
    itself.append(itself)
    again = copied(itself)
    assert again[0] is again is not itself
