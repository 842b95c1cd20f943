"""`--harness` finds the plugin under test or says what is wrong with the name."""

from __future__ import annotations

import pytest
from faulty_plugin import Sound

pytestmark = pytest.mark.timeout(300)  # each is a pytest of its own

GOOD = """
class Good:
    kind = "other"
    declared = {}
    known_deviations = {}

    def open(self):
        raise NotImplementedError("this test opens nothing")


class Bare:
    kind = "other"


class Broken:
    def __init__(self):
        raise RuntimeError("no subject today")
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with one harness module and one test that asks for the harness."""
    pytester.makeini("[pytest]\n")
    pytester.makepyfile(some_harness=GOOD)
    pytester.makepyfile(test_it="def test_kind(harness):\n    assert harness.kind == 'other'\n")
    for path, text in Sound.all_files("sound").items():  # a distribution with a plugin, as an importer can tell
        file = pytester.path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    pytester.syspathinsert()
    return pytester


def run(project: pytest.Pytester, *args: str) -> pytest.RunResult:
    return project.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider", *args)


def test_a_harness_class_is_found_made_and_handed_to_the_suite(project: pytest.Pytester) -> None:
    result = run(project, "--harness", "some_harness:Good")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["agentflow harness: some_harness:Good (other)"])


def test_a_suite_without_the_option_says_how_to_name_a_harness(project: pytest.Pytester) -> None:
    result = run(project)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*Name it: --harness package.testing:Name*"])


def test_a_distribution_is_found_by_its_name(project: pytest.Pytester) -> None:
    """Without a harness of its own; the name may be spelt in any way."""
    result = run(project, "--pyargs", "agentflow_specs", "--distribution", "Agentflow_Sound", "--require", "PLUGIN-04")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["agentflow harness: Agentflow_Sound (plugin)"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "ERROR: No installed distribution 'nothing' offers a plugin. Those that do: *agentflow-sound*"),
        (["agentflow-sound", "--harness", "some_harness:Good"], "ERROR: --harness and --distribution: name one*"),
    ],
)
def test_a_distribution_that_is_none_is_a_usage_error(project: pytest.Pytester, words: list[str], message: str) -> None:
    result = run(project, "--distribution", *words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("some_harness", "'some_harness' is not of the form module:Name*"),
        ("some_harness:", "*is not of the form module:Name*"),
        ("some harness:Good", "*is not of the form module:Name*"),
        ("nowhere.testing:Good", "*there is no module 'nowhere' in this environment. Is the plugin installed?"),
        ("some_harness:Goof", "*module some_harness has no 'Goof'. Did you mean 'Good'?"),
        ("some_harness:Bare", "*Bare is no harness, it lacks declared, known_deviations, open."),
        ("some_harness:Broken", "*making Broken without arguments failed: RuntimeError: no subject today"),
    ],
)
def test_a_wrong_name_is_a_usage_error_that_says_what_is_wrong(
    project: pytest.Pytester, target: str, message: str
) -> None:
    result = run(project, "--harness", target)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --harness {message}"])
