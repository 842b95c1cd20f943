"""The suite of sources takes a source at its word: what it denies has to be refused, what it offers has to be there."""

from __future__ import annotations

import pytest
from kit_runs import run_each

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Exit code and output of the kit for each harness."""
    names = ("Modest", "Denies", "Boasts", "Silent")
    return run_each({name: [f"modest_source:{name}Harness"] for name in names}, tmp_path_factory.mktemp("kit"))


def test_a_source_that_can_do_little_passes(runs: dict[str, tuple[int, str]]) -> None:
    """Endless, on one event loop, without cursors: what it does not offer, it refuses."""
    code, output = runs["Modest"]
    assert code == 0, output
    assert "11 passed" in output
    assert "11 xfailed" in output


@pytest.mark.parametrize(("name", "seen"), [("Denies", "SOURCE-11"), ("Boasts", "SOURCE-12")])
def test_what_is_declared_wrongly_is_seen(runs: dict[str, tuple[int, str]], name: str, seen: str) -> None:
    """Cursors that are denied and taken; a cursor that is said to be kept and is not."""
    code, output = runs[name]
    assert code == 1
    assert seen in output


def test_an_answer_that_is_missing_ends_the_run(runs: dict[str, tuple[int, str]]) -> None:
    code, output = runs["Silent"]
    assert code == 4
    assert "does not declare feeds. Answer True or False for every capability." in output
