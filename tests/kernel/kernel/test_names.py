"""Flows and agents of a kernel have names; a name that could mean two things means neither."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from planner_kit import make_agent

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.errors import UnknownName, UsageError
from agentflow_kernel.testing import InProcessJournal

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def constant(name: str, value: object) -> Flow:
    """A flow that gives a value."""
    return Flow(name).step(lambda: value, name="give", blocking="inline")


def kernel_of(*targets: object) -> Kernel:
    kernel = Kernel(journal=InProcessJournal())
    for target in targets:
        kernel.add(target)  # type: ignore[arg-type]  # flows and agents
    return kernel


@pytest.mark.parametrize("name", ["flow/sum", "sum"])
async def test_a_flow_is_run_by_its_qualified_or_its_bare_name(name: str) -> None:
    """The bare name will do where it is unambiguous."""
    async with kernel_of(constant("sum", 3), constant("other", 4)) as kernel:
        assert await kernel.run(name) == 3


async def test_an_agent_is_a_flow_of_one_step() -> None:
    """It is run by name like a flow."""
    async with kernel_of(make_agent(["hello"])) as kernel:
        assert await kernel.run("agent/helper", "x") == "hello"


async def test_a_bare_name_of_a_flow_and_an_agent_is_refused() -> None:
    """Neither is guessed; the qualified names work."""
    async with kernel_of(constant("helper", 3), make_agent(["hello"])) as kernel:
        with pytest.raises(UnknownName, match=r"'helper'\. Known: 'agent/helper', 'flow/helper'"):
            await kernel.run("helper")
        assert await kernel.run("flow/helper") == 3
        assert await kernel.run("agent/helper") == "hello"


async def test_an_unknown_name_says_what_there_is() -> None:
    """With the nearest one."""
    async with kernel_of(constant("triage", 3)) as kernel:
        with pytest.raises(
            UnknownName, match=r"Unknown flow, agent or plan 'flow/triag'. .*Did you mean 'flow/triage'\?"
        ):
            await kernel.run("flow/triag")


async def test_two_of_one_kind_and_name_are_refused() -> None:
    """A flow and an agent may share a name."""
    kernel = kernel_of(constant("x", 1))
    with pytest.raises(UsageError, match="already has 'flow/x'"):
        kernel.add(constant("x", 2))


async def test_an_object_is_run_as_it_is_whatever_was_known_under_its_name() -> None:
    """Two agents of one name are two agents."""
    async with kernel_of() as kernel:
        assert await kernel.run(constant("x", 1)) == 1
        assert await kernel.run(constant("x", 2)) == 2
        assert await kernel.run(make_agent(["first"])) == "first"
        assert await kernel.run(make_agent(["second"])) == "second"


async def test_a_kernel_that_is_not_open_says_how_to_open_it() -> None:
    """Every call that needs it."""
    kernel = kernel_of(constant("x", 1))
    for call in (kernel.run("x"), kernel.start("x"), kernel.runs(), kernel.resume("x"), kernel.history("x")):
        with pytest.raises(UsageError, match="The kernel is not open"):
            await call


async def test_a_kernel_is_opened_once_at_a_time() -> None:
    """Nesting it into itself is a mistake; opening it again later is not."""
    kernel = kernel_of(constant("x", 1))
    async with kernel:
        with pytest.raises(UsageError, match="The kernel is open already"):
            await kernel.__aenter__()
        assert await kernel.run("x") == 1
    async with kernel:
        assert await kernel.run("x") == 1


async def test_a_kernel_without_a_manifest_says_so() -> None:
    """Where a trigger is asked for."""
    async with kernel_of() as kernel:
        assert kernel.manifest is None
        with pytest.raises(UsageError, match="This kernel has no manifest"):
            await kernel.fire("trigger/x")


def test_the_state_folder_becomes_absolute_and_is_not_made_before_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing the working directory later does not move it."""
    monkeypatch.chdir(tmp_path)
    kernel = Kernel(state="state", journal=InProcessJournal())
    assert kernel.state == str(tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_making_a_kernel_loads_no_event_loop() -> None:
    """Nor anything else that is heavy; a fresh interpreter says so."""
    import subprocess

    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\nbefore = set(sys.modules)\n"
        "from agentflow_kernel import Flow, Kernel\nkernel = Kernel()\nkernel.add(Flow('f').step(str))\n"
        "assert kernel.run_sync('f', 1) == '1'\nprint(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, timeout=50)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"asyncio", "anyio", "json", "pydantic", "structlog", "typing", "yaml", "hashlib"}
