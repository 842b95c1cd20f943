"""Version ranges, with the reference implementation as second opinion."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from agentflow_kernel.loading._versions import VersionRange

RELEASE = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
CLAUSE = st.tuples(st.sampled_from(["==", "!=", ">=", "<=", ">", "<"]), RELEASE).map("".join) | RELEASE.filter(
    lambda release: "." in release
).map("~={}".format)


@settings(deadline=None, max_examples=500)
@given(st.lists(CLAUSE, min_size=1, max_size=3).map(", ".join), RELEASE)
def test_plain_releases_are_compared_as_pep_440_says(clauses, version) -> None:
    """All seven operators, any number of clauses, releases of different length."""
    assert (version in VersionRange(clauses)) == (version in SpecifierSet(clauses))


@pytest.mark.parametrize(
    "version", ["1.0rc1", "1.0.dev3", "1.0a1", "1.0.post1", "1!1.0", "1.0.*", "x", "", "1..0", "²"]
)
def test_what_is_no_plain_release_is_in_no_range_but_its_own(version) -> None:
    """Neither a pre-release of an admitted version nor rubbish slips in."""
    assert version not in VersionRange(">=0")
    assert version not in VersionRange("!=5")
    assert version not in VersionRange("==1.0")
    assert version in VersionRange("*")


def test_equality_admits_the_exact_text() -> None:
    """A pre-release can be pinned, in either case of letters."""
    assert "1.0RC1" in VersionRange("==1.0rc1")
    assert "1.0rc2" not in VersionRange("==1.0rc1")


def test_a_local_label_belongs_to_its_release() -> None:
    """As in PEP 440."""
    assert "1.0+cpu" in VersionRange("==1.0")
    assert "1.0+cpu" in VersionRange("==1.0+cpu")
    assert "1.0+gpu" not in VersionRange("==1.0+cpu")
    assert "1.0" not in VersionRange("==1.0+cpu")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.0",
        "=1.0",
        "===1.0",
        ">=",
        ">=x",
        "~=1",
        ">=1.0,",
        ">1,,<2",
        "==1.*",
        ">=1.0rc1",
        ">=1+cpu",
        "==",
        "== >=1",
        "==a",
    ],
)
def test_what_is_no_range_is_refused(text) -> None:
    """With the clause that is wrong and the operators there are."""
    with pytest.raises(ValueError, match="no version clause; expected one of == != >="):
        VersionRange(text)
