"""The policy `retry` against a model of it, over made-up histories of a call."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from agentflow_kernel.errors import AgentFlowError, PeerUnavailable, Refused

LIMITS = limits(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A slow machine is no failure."""

seconds = st.floats(min_value=0, max_value=50, allow_nan=False)
failures = st.builds(
    lambda executed, after: PeerUnavailable("down", executed=executed, retry_after_s=after),
    st.sampled_from(["no", "maybe", "yes"]),
    st.none() | seconds,
)
outcomes = st.lists(
    failures | st.builds(Refused, st.just("no")) | st.builds(ValueError) | st.just("answer"), min_size=1
)


@st.composite
def settings(draw) -> dict[str, object]:
    base_s = draw(st.floats(min_value=0, max_value=5))
    return {
        "attempts": draw(st.integers(min_value=2, max_value=8)),
        "base_s": base_s,
        "factor": draw(st.floats(min_value=1, max_value=10)),
        "max_s": base_s + draw(st.floats(min_value=0, max_value=60)),
        "deadline_s": draw(st.none() | st.floats(min_value=0.1, max_value=100)),
    }


def may_repeat(outcome: object, *, idempotent: bool) -> bool:
    """The rule in one line, written anew."""
    if isinstance(outcome, Refused) or not isinstance(outcome, Exception):
        return False
    return idempotent or (isinstance(outcome, AgentFlowError) and outcome.executed == "no")


@LIMITS
@given(st.tuples(settings(), outcomes, st.booleans(), seconds))
def test_every_history_keeps_the_promises(make_bench, finish, make_request, history):
    """Attempts, waits, deadline, events and result, for any settings and any course of the call."""
    settings, outcomes, idempotent, takes_s = history
    bench = make_bench()
    script = bench.script(*outcomes, takes_s=takes_s)
    call = bench.retry(**settings).wrap(script)(make_request(idempotent=idempotent))
    try:
        last = finish(call)
    except (AgentFlowError, ValueError) as error:
        last = error
    count = len(script.attempts)
    course = [outcomes[min(number, len(outcomes) - 1)] for number in range(count)]

    # the result is that of the last attempt, and all before it were failures that may be repeated
    assert last is course[-1]
    assert all(may_repeat(outcome, idempotent=idempotent) for outcome in course[:-1])
    # numbers are consecutive and bounded
    assert script.attempts == list(range(1, count + 1))
    assert count <= settings["attempts"]
    # no attempt begins after the deadline
    end = settings["deadline_s"]
    assert end is None or script.begins[-1] <= end
    # it ends early for a reason only
    if may_repeat(course[-1], idempotent=idempotent) and count < settings["attempts"]:
        assert end is not None
        bound_s = min(settings["max_s"], settings["base_s"] * settings["factor"] ** (count - 1))
        assert bench.clock.seconds + bound_s + (getattr(course[-1], "retry_after_s", None) or 0) > end
    # every wait lies between what the peer asks and that plus its bound
    gaps = [after - before - takes_s for before, after in zip(script.begins, script.begins[1:], strict=False)]
    for number, gap in enumerate(gaps):
        asked = getattr(course[number], "retry_after_s", None) or 0
        bound_s = min(settings["max_s"], settings["base_s"] * settings["factor"] ** number)
        assert asked - 1e-6 <= gap <= asked + bound_s + 1e-6
    # one event for each wait, one for giving up
    exhausted = may_repeat(course[-1], idempotent=idempotent)
    assert bench.names() == ["retry.scheduled"] * (count - 1) + ["retry.exhausted"] * exhausted


@LIMITS
@given(st.integers(min_value=0, max_value=2**32))
def test_waits_are_those_of_the_seed(make_bench, finish, make_request, seed):
    """The random source of the context is the only one: the same seed gives the same waits."""
    courses = []
    for _ in range(2):
        bench = make_bench()
        bench.random.seed(seed)
        with pytest.raises(PeerUnavailable):
            finish(bench.retry(attempts=5).wrap(bench.script(PeerUnavailable("down")))(make_request()))
        courses.append(bench.clock.sleeps)
    assert courses[0] == courses[1]
    assert len(set(courses[0])) == 4
