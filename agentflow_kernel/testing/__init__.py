"""What tests need: a scripted provider, a toolset of functions, a clock moved by hand, recordings, simulated worlds."""

from agentflow_kernel.inprocess.journal import InProcessJournal
from agentflow_kernel.inprocess.memory import InProcessMemory
from agentflow_kernel.testing.auditor import Audit, Auditor, Crash, find_problems
from agentflow_kernel.testing.bus_harness import BoundedBusHarness, DeadLetterHarness
from agentflow_kernel.testing.cassette import Cassette
from agentflow_kernel.testing.cassette_failures import CassetteFailure, CassetteMiss, CassetteStale, CassetteUnplayed
from agentflow_kernel.testing.cassette_harness import RecordedModelHarness, ReplayedModelHarness
from agentflow_kernel.testing.cassette_rules import CassetteRules, replace_text
from agentflow_kernel.testing.clock import FakeClock
from agentflow_kernel.testing.crash_points import CrashPoints, try_crash_points, try_crash_points_of
from agentflow_kernel.testing.effects import Effect, Ledger
from agentflow_kernel.testing.fakes_harness import FunctionToolsetHarness, ScriptedModelHarness
from agentflow_kernel.testing.faults import CrashAt, Faults, Strike
from agentflow_kernel.testing.folder_harness import FolderJournalHarness
from agentflow_kernel.testing.harness import DamageHarness, Harness, StoreHarness
from agentflow_kernel.testing.inprocess_harness import (
    InProcessBusHarness,
    InProcessJournalHarness,
    InProcessMemoryHarness,
)
from agentflow_kernel.testing.kind_harness import (
    ClockHarness,
    ContentSourceHarness,
    CountingToolHarness,
    FailingSourceHarness,
    FailingToolHarness,
    FeedingSourceHarness,
    MemoryStoreHarness,
    PlannerHarness,
    SlowSourceHarness,
    SlowToolHarness,
    SourceHarness,
    ToolHarness,
    VersionedPlannerHarness,
)
from agentflow_kernel.testing.provider import ScriptedProvider
from agentflow_kernel.testing.provider_harness import (
    FailingProviderHarness,
    ProviderFault,
    ProviderHarness,
    ScriptedProviderHarness,
    SecretProviderHarness,
    SlowProviderHarness,
)
from agentflow_kernel.testing.replay import always_replay
from agentflow_kernel.testing.seed_search import Failure, Regression, SeedSearch, read_regression
from agentflow_kernel.testing.settling import settle
from agentflow_kernel.testing.simulation import Simulation, differences, simulate, simulate_kernel
from agentflow_kernel.testing.simulation_errors import AuditFailed, Deadlock
from agentflow_kernel.testing.tools import FunctionToolset
from agentflow_kernel.testing.trace import shortened_trace
from agentflow_kernel.testing.world import World

__all__ = (
    "Audit",
    "AuditFailed",
    "Auditor",
    "BoundedBusHarness",
    "Cassette",
    "CassetteFailure",
    "CassetteMiss",
    "CassetteRules",
    "CassetteStale",
    "CassetteUnplayed",
    "ClockHarness",
    "ContentSourceHarness",
    "CountingToolHarness",
    "Crash",
    "CrashAt",
    "CrashPoints",
    "DamageHarness",
    "DeadLetterHarness",
    "Deadlock",
    "Effect",
    "FailingProviderHarness",
    "FailingSourceHarness",
    "FailingToolHarness",
    "Failure",
    "FakeClock",
    "Faults",
    "FeedingSourceHarness",
    "FolderJournalHarness",
    "FunctionToolset",
    "FunctionToolsetHarness",
    "Harness",
    "InProcessBusHarness",
    "InProcessJournal",
    "InProcessJournalHarness",
    "InProcessMemory",
    "InProcessMemoryHarness",
    "Ledger",
    "MemoryStoreHarness",
    "PlannerHarness",
    "ProviderFault",
    "ProviderHarness",
    "RecordedModelHarness",
    "Regression",
    "ReplayedModelHarness",
    "ScriptedModelHarness",
    "ScriptedProvider",
    "ScriptedProviderHarness",
    "SecretProviderHarness",
    "SeedSearch",
    "Simulation",
    "SlowProviderHarness",
    "SlowSourceHarness",
    "SlowToolHarness",
    "SourceHarness",
    "StoreHarness",
    "Strike",
    "ToolHarness",
    "VersionedPlannerHarness",
    "World",
    "always_replay",
    "differences",
    "find_problems",
    "read_regression",
    "replace_text",
    "settle",
    "shortened_trace",
    "simulate",
    "simulate_kernel",
    "try_crash_points",
    "try_crash_points_of",
)
