"""What tests of flows, agents and plugins need: a scripted provider, a toolset of functions, a clock moved by hand."""

from agentflow_kernel.inprocess.journal import InProcessJournal
from agentflow_kernel.inprocess.memory import InProcessMemory
from agentflow_kernel.testing.clock import FakeClock
from agentflow_kernel.testing.harness import Harness
from agentflow_kernel.testing.provider import ScriptedProvider
from agentflow_kernel.testing.tools import FunctionToolset

__all__ = ("FakeClock", "FunctionToolset", "Harness", "InProcessJournal", "InProcessMemory", "ScriptedProvider")
