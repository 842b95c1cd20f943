"""Every suite sees faulty plugins of its kind, each by the requirement that is meant for it."""

from __future__ import annotations

import pytest
from mutants import MODULES, mutants_of, try_mutants

from agentflow_specs.requirement import kinds, requirements_of

pytestmark = pytest.mark.timeout(600)


def test_every_suite_has_its_mutants() -> None:
    assert set(MODULES) == set(kinds())


@pytest.mark.parametrize("kind", sorted(MODULES))
def test_every_mutant_is_caught_by_the_requirement_meant_for_it(kind: str, tmp_path) -> None:
    """The failure names the requirement, its reason and its advice."""
    meant = mutants_of(kind)
    assert len(meant) >= 7
    assert set(meant.values()) <= {asked.id for asked in requirements_of(kind)}
    for name, (seen, output) in try_mutants(kind, tmp_path).items():
        assert seen == [meant[name]], f"{name}: {output}"
        assert "\nWhy: " in output
        assert "\nWhere to look: " in output
