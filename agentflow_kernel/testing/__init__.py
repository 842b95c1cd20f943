"""What tests need: a scripted provider, a toolset of functions, a clock moved by hand, recordings of real calls."""

from agentflow_kernel.inprocess.journal import InProcessJournal
from agentflow_kernel.inprocess.memory import InProcessMemory
from agentflow_kernel.testing.cassette import Cassette
from agentflow_kernel.testing.cassette_failures import CassetteFailure, CassetteMiss, CassetteStale, CassetteUnplayed
from agentflow_kernel.testing.cassette_rules import CassetteRules, replace_text
from agentflow_kernel.testing.clock import FakeClock
from agentflow_kernel.testing.harness import Harness
from agentflow_kernel.testing.provider import ScriptedProvider
from agentflow_kernel.testing.tools import FunctionToolset

__all__ = (
    "Cassette",
    "CassetteFailure",
    "CassetteMiss",
    "CassetteRules",
    "CassetteStale",
    "CassetteUnplayed",
    "FakeClock",
    "FunctionToolset",
    "Harness",
    "InProcessJournal",
    "InProcessMemory",
    "ScriptedProvider",
    "replace_text",
)
