"""Names of tools on the wire and back, those that a model has made up included."""

from __future__ import annotations

import pytest

from agentflow_http.names import ToolNames, past_name_on_wire
from agentflow_kernel.contracts.provider import ToolInfo
from agentflow_kernel.errors import UsageError


def test_a_name_comes_back_as_it_was() -> None:
    names = ToolNames([ToolInfo("files.read", "", {}), ToolInfo("plain", "", {})])
    assert names.read("files__read") == "files.read"
    assert names.read("plain") == "plain"
    assert names.read("made__up") == "made.up"


def test_two_tools_of_one_name_on_the_wire_are_refused() -> None:
    with pytest.raises(UsageError, match=r"both 'a__b' on the wire"):
        ToolNames([ToolInfo("a.b", "", {}), ToolInfo("a__b", "", {})])


@pytest.mark.parametrize(
    ("made_up", "sent"),
    [("files.read", "files__read"), ("files read!", "files_read_"), ("", "unknown"), ("x" * 99, "x" * 64)],
)
def test_a_name_of_the_past_is_one_that_vendors_allow(made_up: str, sent: str) -> None:
    assert past_name_on_wire(made_up) == sent
