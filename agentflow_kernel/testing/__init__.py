"""What tests need: a scripted provider, a toolset of functions, a clock moved by hand, recordings of real calls."""

from agentflow_kernel.inprocess.journal import InProcessJournal
from agentflow_kernel.inprocess.memory import InProcessMemory
from agentflow_kernel.testing.cassette import Cassette
from agentflow_kernel.testing.cassette_failures import CassetteFailure, CassetteMiss, CassetteStale, CassetteUnplayed
from agentflow_kernel.testing.cassette_rules import CassetteRules, replace_text
from agentflow_kernel.testing.clock import FakeClock
from agentflow_kernel.testing.harness import DamageHarness, Harness, StoreHarness
from agentflow_kernel.testing.inprocess_harness import InProcessJournalHarness
from agentflow_kernel.testing.provider import ScriptedProvider
from agentflow_kernel.testing.tools import FunctionToolset

__all__ = (
    "Cassette",
    "CassetteFailure",
    "CassetteMiss",
    "CassetteRules",
    "CassetteStale",
    "CassetteUnplayed",
    "DamageHarness",
    "FakeClock",
    "FunctionToolset",
    "Harness",
    "InProcessJournal",
    "InProcessJournalHarness",
    "InProcessMemory",
    "ScriptedProvider",
    "StoreHarness",
    "replace_text",
)
