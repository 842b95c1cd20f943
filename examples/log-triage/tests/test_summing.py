"""Bursts are those that the rule makes, however the log is cut, in whatever order and how often its chunks come."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SECOND = 1_000_000
RULE = {"lines": 5, "within_s": 60, "keep_lines": 10_000, "keep_bursts": 10_000}
Line = tuple[int, int, str]


def raw(lines: list[Line]) -> dict[str, Any]:
    """Error lines as a batch tells them."""
    texts = sorted({text for _, _, text in lines})
    points = " ".join(f"{moment}:{number}:{texts.index(text)}" for moment, number, text in sorted(lines))
    return {"templates": texts, "points": points, "zoned": False}


def by_the_rule(lines: list[Line], size: int, width_s: float) -> list[list[Line]]:
    """The bursts by the words of the rule: every window, then those that share a line as one."""
    lines = sorted(lines)
    groups: list[set[int]] = []
    for start in range(len(lines) - size + 1):
        if lines[start + size - 1][0] - lines[start][0] <= width_s * SECOND:
            window = set(range(start, start + size))
            if groups and groups[-1] & window:
                groups[-1] |= window
            else:
                groups.append(window)
    return [[lines[index] for index in sorted(group)] for group in groups]


def told(module, errors: dict[str, Any]) -> list[tuple[int, int, int, dict[str, int]]]:
    """First and last moment, lines and templates of each burst."""
    read = module("summing").read
    return [
        (read(each["head"])[0][0], read(each["tail"])[-1][0], each["lines"], dict(map(tuple, each["templates"])))
        for each in errors["bursts"]
    ]


def expected(bursts: list[list[Line]]) -> list[tuple[int, int, int, dict[str, int]]]:
    found = []
    for burst in bursts:
        texts = [text for _, _, text in burst]
        found.append((burst[0][0], burst[-1][0], len(burst), {text: texts.count(text) for text in texts}))
    return found


MOMENTS = st.lists(st.tuples(st.integers(0, 900), st.sampled_from("abc")), max_size=80)


@settings(deadline=None, max_examples=150)
@given(moments=MOMENTS, size=st.integers(2, 6), width=st.integers(0, 70), seed=st.integers(0, 1 << 32))
def test_parts_folded_in_any_order_and_grouping_give_the_bursts_of_the_rule(
    module, moments: list[tuple[int, str]], size: int, width: int, seed: int
) -> None:
    fold, chance = module("summing").fold, Random(seed)
    rule = {**RULE, "lines": size, "within_s": width}
    lines = [(moment * SECOND, number, text) for number, (moment, text) in enumerate(moments, start=1)]
    places = [chance.randrange(5) for _ in lines]
    parts = [raw([line for line, place in zip(lines, places, strict=True) if place == part]) for part in range(5)]
    while len(parts) > 1:
        count = chance.randint(1, len(parts))
        parts = [*parts[count:], json.loads(json.dumps(fold(parts[:count], rule)))]
    (result,) = parts
    assert told(module, fold([result], rule)) == expected(by_the_rule(lines, size, width))
    alone = len(result["points"].split())
    assert alone + sum(burst["lines"] for burst in fold([result], rule)["bursts"]) == len(lines)


def test_a_window_of_exactly_the_time_is_a_burst_and_a_longer_one_is_none(module) -> None:
    lines = [(number * 15 * SECOND, number, "x") for number in range(1, 6)]
    assert len(module("summing").fold([raw(lines)], RULE)["bursts"]) == 1
    lines[-1] = (lines[-1][0] + 1, 5, "x")
    assert module("summing").fold([raw(lines)], RULE)["bursts"] == []


def test_a_storm_of_errors_is_no_longer_than_its_edges(module) -> None:
    fold = module("summing").fold
    storm = [fold([raw([(number * SECOND, number, "x") for number in range(count)])], RULE) for count in (100, 10_000)]
    assert abs(len(str(storm[0])) - len(str(storm[1]))) < 40
    assert told(module, storm[1]) == [(0, 9_999 * SECOND, 10_000, {"x": 10_000})]


def test_what_is_kept_is_bounded_and_what_comes_too_late_is_counted(module) -> None:
    fold, rule = module("summing").fold, {**RULE, "keep_lines": 3, "keep_bursts": 1}
    alone = [(number * 100 * SECOND, number, "x") for number in range(1, 8)]
    first = fold([raw(alone)], rule)
    assert (len(first["points"].split()), first["horizon"]) == (3, 400 * SECOND)
    after = fold([first, raw([(2_000 * SECOND + number, 10 + number, "y") for number in range(5)])], rule)
    after = fold([after, raw([(3_000 * SECOND + number, 20 + number, "y") for number in range(5)])], rule)
    assert (after["older_bursts"], after["older_lines"], after["late"]) == (1, 5, 0)
    assert [burst[0] for burst in told(module, after)] == [3_000 * SECOND]
    assert fold([after, raw([(150 * SECOND, 99, "z")])], rule)["late"] == 1


def test_of_very_many_templates_the_most_frequent_are_told_and_the_others_counted(module) -> None:
    lines = [(SECOND, number, f"t{number}") for number in range(100)] + [
        (SECOND, 100 + number, "x") for number in range(5)
    ]
    (burst,) = module("summing").fold([raw(lines)], RULE)["bursts"]
    assert burst["templates"][0] == ["x", 5]
    assert (len(burst["templates"]), burst["others"], burst["lines"]) == (64, 36 + 1, 105)


@pytest.mark.parametrize("wrong", [{"lines": 1}, {"within_s": -1}, {"keep_lines": 0}, {"keep_bursts": 0}])
def test_a_rule_that_is_none_is_refused(module, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="A burst has at least 2 lines"):
        module("summing").checked({**RULE, **wrong})


# a log that is followed, chunk by chunk


class Follower:
    """The step ``total`` over the chunks of one log of error lines."""

    def __init__(self, module, walk, lines: list[Line]) -> None:
        self.module, self.walk, self.lines = module, walk, lines
        self.context = type("Context", (), {"memory": lambda self, name: walk.followed})()

    def chunk(self, first: int, last: int, step: str = "") -> dict[str, Any]:
        """The result of the run about lines ``first`` to ``last``; line 1 is at the beginning of the file."""
        lines = [line for line in self.lines if first <= line[1] <= last]
        tally = {"lines": last - first + 1, "sshd_lines": 0, "long_lines": 0, "levelled_lines": len(lines)}
        tally |= {"error_lines": len(lines), "addresses": [], "errors": raw(lines)}
        place = {"state": "log", "start": first - 1, "end": last, "first_line": first, "ends": False}
        self.walk.followed.step = step or f"{first}-{last}"
        order = {"cut": {"chunk": place, "size_bytes": last - first + 1}, "tallies": [tally], "burst": RULE}
        found: dict[str, Any] = asyncio.run(self.module("summing").total(order, self.context))
        return found


def some_lines(chance: Random, count: int) -> list[Line]:
    """Error lines with bursts, some of them out of order."""
    moment, lines = 0, []
    for number in range(1, count + 1):
        moment += chance.choice([0, 1, 5, 40, 90])
        lines.append(((moment - chance.choice([0, 0, 0, 300])) * SECOND, number, chance.choice("abc")))
    return lines


def test_chunks_in_any_order_come_to_the_same_as_the_whole(module, walk, chance: Random) -> None:
    lines = some_lines(chance, 400)
    follower = Follower(module, walk, lines)
    starts = sorted({1, *chance.sample(range(2, 401), 120)})
    chunks = list(zip(starts, [*(start - 1 for start in starts[1:]), 400], strict=True))
    early, late = chunks[:60], chunks[60:]
    chance.shuffle(late)
    for first, last in early + late:
        found = follower.chunk(first, last)
    assert found["gaps"] == []
    assert (found["tally"]["lines"], found["size_bytes"]) == (400, 400)
    assert told(module, found["tally"]["errors"]) == expected(by_the_rule(lines, 5, 60))
    assert len(walk.followed.entries) <= 33, "chunks are folded"


def test_a_chunk_that_comes_again_counts_once(module, walk, chance: Random) -> None:
    follower = Follower(module, walk, some_lines(chance, 200))
    for first in range(1, 200, 5):
        follower.chunk(first, first + 4)
    expected_total = follower.chunk(196, 200)["tally"]
    assert follower.chunk(1, 5)["tally"] == expected_total, "the step again, after its chunk was folded"
    assert follower.chunk(1, 5, step="another run")["tally"] == expected_total


def test_lines_that_are_not_here_yet_are_named(module, walk, chance: Random) -> None:
    follower = Follower(module, walk, some_lines(chance, 30))
    follower.chunk(1, 10)
    assert follower.chunk(21, 30)["gaps"] == [[11, 20]]
    assert follower.chunk(11, 20)["gaps"] == []


def test_a_burst_is_new_then_grown_then_no_news(module, walk) -> None:
    moments = [*range(5), 6, 2_000, *range(3_000, 3_005), 7]
    follower = Follower(module, walk, [(moment * SECOND, line, "x") for line, moment in enumerate(moments, start=1)])
    assert follower.chunk(1, 4)["news"] == []
    assert follower.chunk(5, 5)["news"] == ["new"]
    assert follower.chunk(6, 6)["news"] == ["grown"]
    assert follower.chunk(7, 7)["news"] == [""]
    assert follower.chunk(8, 12)["news"] == ["", "new"]
    assert follower.chunk(13, 13)["news"] == ["grown", ""]
