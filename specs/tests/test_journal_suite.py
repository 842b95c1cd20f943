"""The suite of journals: a sound one passes, and a harness is taken at its word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kit_runs import run_each

if TYPE_CHECKING:
    from collections.abc import Mapping


SOUND = "agentflow_kernel.testing.inprocess_harness:InProcessJournalHarness"
RUNS = {
    "sound": [SOUND],
    **{f"sharing {number}": ["unsound:Shares", "--require", f"JOURNAL-8{number}"] for number in (5, 6, 7)},
    "Honest": ["unsound:Honest", "--require", "JOURNAL-33"],
    "Stale": ["unsound:Stale", "--require", "JOURNAL-33"],
    "Denies": ["unsound:Denies", "--require", "JOURNAL-76"],
    "Boasts": ["unsound:Boasts", "--require", "JOURNAL-80"],
    "Silent": ["unsound:Silent"],
    "Inventor": ["unsound:Inventor"],
    "Stranger": ["unsound:Stranger"],
    "no such": [SOUND, "--require", "JOURNAL-00"],
}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[int, str]]:
    """Exit code and output of every run."""
    return run_each(RUNS, tmp_path_factory.mktemp("author"))


def test_a_sound_journal_passes(results: Mapping[str, tuple[int, str]]) -> None:
    """What it does not offer is expected to be missing; nothing is skipped."""
    code, output = results["sound"]
    assert code == pytest.ExitCode.OK, output
    assert " passed, 20 xfailed in" in output.splitlines()[-1]


@pytest.mark.parametrize("number", [5, 6, 7])
def test_a_journal_that_shares_its_runs_passes(results: Mapping[str, tuple[int, str]], number: int) -> None:
    code, output = results[f"sharing {number}"]
    assert code == pytest.ExitCode.OK, output
    assert "2 passed" in output


def test_a_known_deviation_is_expected(results: Mapping[str, tuple[int, str]]) -> None:
    code, output = results["Honest"]
    assert code == pytest.ExitCode.OK
    assert "8 xfailed" in output


@pytest.mark.parametrize("name", ["Stale", "Denies", "Boasts"])
def test_a_harness_that_says_what_is_not_so_fails(results: Mapping[str, tuple[int, str]], name: str) -> None:
    """A deviation that is mended, a capability that is there or is not: all are seen."""
    code, output = results[name]
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "passed" not in output.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "Silent",
            "'unsound:Silent': it does not declare durable, shared, shared-runs, prunes, compacts, tally, damage.",
        ),
        (
            "Inventor",
            "it declares magic; a journal has only durable, inline, shared, shared-runs, prunes, compacts, tally, dam",
        ),
        ("Stranger", "'unsound:Stranger': it knows a deviation from JOURNAL-00, which the kit does not ask for."),
        ("no such", "--require 'JOURNAL-00': the suite of a journal has no such requirement."),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(results: Mapping[str, tuple[int, str]], name: str, message: str) -> None:
    code, output = results[name]
    assert code == pytest.ExitCode.USAGE_ERROR
    assert message in output
