"""A second opinion by another implementation, python-statemachine, where it means the same.

It reads expressions as Python, knows no `has` and `default`, and waits in real time; so it is asked about the rest. For
random charts the second opinion is `appendix_d.py`, from which it differs where several regions compete.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from test_irp import CASES, chart

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHERWISE = (
    "delay", "cancel", "evaluated at once", "content may be text", "an event stays", "no boolean", "late binding",
    "sends its end", "its events", "finalize", "parameters set", "autoforward", "leaving the state", "passed through",
)  # fmt: skip
"""What it does in another way: real time, Python's truth and names, and data of invoked machines."""


def started(text: str) -> Any:
    """A machine of python-statemachine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statemachine.io.scxml.processor import SCXMLProcessor

        processor = SCXMLProcessor(trusted=True)
        processor.parse_scxml("other", text)
        return processor.start()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What it prints is left aside."""
    logging.getLogger("statemachine").setLevel(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()):
        yield


@pytest.mark.parametrize("name", [name for name in CASES if not any(word in name for word in OTHERWISE)])
def test_charts_that_test_themselves_pass_there_too(name: str) -> None:
    assert "pass" in set(started(chart(name)).configuration_values)
