"""The suite of journals: a sound one passes, each way of being unsound is seen, and a harness is taken at its word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parent
RUN_EACH = """
import contextlib, io, json, sys
import pytest
results = {}
for target, *options in json.load(sys.stdin):
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        plain = ["-p", "no:randomly", "-p", "no:cacheprovider", "-q", "-ra", "--pyargs", "agentflow_specs"]
        code = pytest.main([*plain, "--harness", target, *options])
    results[" ".join([target, *options])] = [int(code), output.getvalue()]
print(json.dumps(results))
"""
"""One process for all of them: to start one costs more than to run a requirement."""
UNSOUND = {
    "Changes": "JOURNAL-01", "Disordered": "JOURNAL-02", "Inventive": "JOURNAL-03", "Piecemeal": "JOURNAL-04",
    "Sharing": "JOURNAL-08", "Overwriting": "JOURNAL-10", "Unfenced": "JOURNAL-12", "Hasty": "JOURNAL-14",
    "Unfolded": "JOURNAL-20", "OldestFirst": "JOURNAL-21", "LimitFirst": "JOURNAL-22", "Forgetful": "JOURNAL-33",
    "CaseFolding": "JOURNAL-41", "Racing": "JOURNAL-51", "Torn": "JOURNAL-60", "Stuck": "JOURNAL-60",
    "ClosedOnce": "JOURNAL-70", "Immortal": "JOURNAL-72", "Leaking": "JOURNAL-74", "NoInline": "JOURNAL-76",
}  # fmt: skip
"""Ways of being unsound, each with the requirement that must see it."""


SOUND = "agentflow_kernel.testing.inprocess_harness:InProcessJournalHarness"
RUNS = {
    "sound": [SOUND],
    **{name: [f"unsound:{name}Harness", "--require", asked, "-k", "asyncio"] for name, asked in UNSOUND.items()},
    **{f"sharing {number}": ["unsound:Shares", "--require", f"JOURNAL-8{number}"] for number in (5, 6, 7)},
    "Undying": ["unsound:SharesUndying", "--require", "JOURNAL-85"],
    "Confused": ["unsound:SharesConfused", "--require", "JOURNAL-86"],
    "Deaf": ["unsound:SharesDeaf", "--require", "JOURNAL-87"],
    "Honest": ["unsound:Honest", "--require", "JOURNAL-33"],
    "Stale": ["unsound:Stale", "--require", "JOURNAL-33"],
    "Denies": ["unsound:Denies", "--require", "JOURNAL-76"],
    "Boasts": ["unsound:Boasts", "--require", "JOURNAL-80"],
    "Silent": ["unsound:Silent"],
    "Inventor": ["unsound:Inventor"],
    "Stranger": ["unsound:Stranger"],
    "no such": [SOUND, "--require", "JOURNAL-00"],
}

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[int, str]]:
    """Exit code and output of every run."""
    folder = tmp_path_factory.mktemp("author")
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    done = subprocess.run(
        [sys.executable, "-c", RUN_EACH], input=json.dumps(list(RUNS.values())), cwd=folder, text=True,
        env={**os.environ, "PYTHONPATH": str(FOLDER)}, stdout=subprocess.PIPE, check=True, timeout=110,
    )  # fmt: skip
    found = json.loads(done.stdout)
    return {name: tuple(found[" ".join(words)]) for name, words in RUNS.items()}


def test_a_sound_journal_passes(results: Mapping[str, tuple[int, str]]) -> None:
    """What it does not offer is expected to be missing; nothing is skipped."""
    code, output = results["sound"]
    assert code == pytest.ExitCode.OK, output
    assert " passed, 20 xfailed in" in output.splitlines()[-1]


@pytest.mark.parametrize(("name", "asked"), UNSOUND.items())
def test_an_unsound_journal_fails_where_it_is_unsound(
    results: Mapping[str, tuple[int, str]], name: str, asked: str
) -> None:
    """The failure names the requirement, its reason and its advice."""
    code, output = results[name]
    assert code == pytest.ExitCode.TESTS_FAILED, output
    assert f"- {asked} (MUST) -" in output
    assert "\nWhy: " in output
    assert "\nWhere to look: " in output


@pytest.mark.parametrize("number", [5, 6, 7])
def test_a_journal_that_shares_its_runs_passes(results: Mapping[str, tuple[int, str]], number: int) -> None:
    code, output = results[f"sharing {number}"]
    assert code == pytest.ExitCode.OK, output
    assert "2 passed" in output


@pytest.mark.parametrize(
    ("name", "asked"), [("Undying", "JOURNAL-85"), ("Confused", "JOURNAL-86"), ("Deaf", "JOURNAL-87")]
)
def test_a_journal_that_shares_badly_fails(results: Mapping[str, tuple[int, str]], name: str, asked: str) -> None:
    code, output = results[name]
    assert code == pytest.ExitCode.TESTS_FAILED
    assert f"- {asked} (MUST) -" in output


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
        ("Silent", "'unsound:Silent': it does not declare durable, shared, shared-runs, damage. Answer True or False"),
        (
            "Inventor",
            "'unsound:Inventor': it declares magic; a journal has only durable, inline, shared, shared-runs, damage.",
        ),
        ("Stranger", "'unsound:Stranger': it knows a deviation from JOURNAL-00, which the kit does not ask for."),
        ("no such", "--require 'JOURNAL-00': the suite of a journal has no such requirement."),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(results: Mapping[str, tuple[int, str]], name: str, message: str) -> None:
    code, output = results[name]
    assert code == pytest.ExitCode.USAGE_ERROR
    assert message in output
