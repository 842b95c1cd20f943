"""The pages of requirements say what the suites ask for, and the numbers are in order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentflow_specs.listing import page
from agentflow_specs.requirement import capabilities_of, kinds, requirements_of

FOLDER = Path(__file__).parents[1]


def test_there_is_a_suite_and_each_has_its_page() -> None:
    pages = {path.stem for path in FOLDER.glob("*.md") if path.stem == path.stem.lower()}
    assert pages == set(kinds())
    assert "journal" in pages


@pytest.mark.parametrize("kind", kinds())
def test_the_page_says_what_the_suite_asks_for(kind: str) -> None:
    """Renewed by `python -m agentflow_specs.listing <kind> > specs/<kind>.md`."""
    assert (FOLDER / f"{kind}.md").read_text(encoding="utf-8") == page(kind)


@pytest.mark.parametrize("kind", kinds())
def test_every_requirement_is_complete_and_has_a_number_of_its_own(kind: str) -> None:
    asked = requirements_of(kind)
    assert len({one.id for one in asked}) == len(asked)
    for one in asked:
        assert re.fullmatch(rf"{kind.upper()}-\d\d", one.id), one.id
        assert one.level in {"MUST", "SHOULD"}
        assert all(text.endswith(".") for text in (one.statement, one.reason, one.advice)), one
        assert not one.needs or one.needs in capabilities_of(kind), one


@pytest.mark.parametrize("kind", kinds())
def test_every_test_of_a_suite_asks_for_a_requirement(kind: str) -> None:
    """A test without a number could neither be listed nor be known as a deviation."""
    folder = FOLDER / "agentflow_specs" / "suites" / kind
    tests = [
        name
        for path in folder.glob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    ]
    assert len(tests) == len(set(tests)) == len(requirements_of(kind))
