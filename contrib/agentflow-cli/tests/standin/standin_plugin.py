"""A plugin for these tests, so that the command can be tested with nothing but the kernel installed.

Its journal in plain files is called `sqlite`, as the command line's default.
"""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import JournalSpec, PlannerSpec, ProviderSpec, SourceSpec, ToolsetSpec
from agentflow_kernel.hookspecs import hookimpl


@hookimpl
def agentflow_journals():
    return [JournalSpec("sqlite", "standin_parts:FileJournal")]


@hookimpl
def agentflow_sources():
    return [SourceSpec("lines", "standin_parts:Lines", "standin_settings:LinesSettings")]


@hookimpl
def agentflow_tools():
    return [ToolsetSpec("cabinet", "standin_parts:Cabinet", "standin_settings:CabinetSettings")]


@hookimpl
def agentflow_providers():
    return [
        ProviderSpec(
            "echo", "standin_parts:Idle", settings="standin_settings:EchoSettings", models="standin_parts:MODELS"
        )
    ]


@hookimpl
def agentflow_planners():
    return [PlannerSpec("straight", "standin_parts:Idle")]
