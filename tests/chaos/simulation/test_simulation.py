"""Simulation: the same seed gives the same events in every process; faults strike and nothing is lost or doubled."""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from simulated_flows import FLOWS, send_signals, signalled

from agentflow_kernel import Context, Event, Flow, Kernel
from agentflow_kernel.errors import UnknownName, Unsupported
from agentflow_kernel.event import uuid7
from agentflow_kernel.testing import AuditFailed, simulate, simulate_kernel
from agentflow_kernel.testing.faults import FAULTS

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

LONG = os.environ.get("AGENTFLOW_CHAOS", "short") == "long"
SEEDS = 2000 // len(FLOWS) + 1 if LONG else 8
"""For each flow."""
STORAGE = [name for name in FAULTS if name in {
    "crash", "lost-batch", "torn-tail", "slow-disk", "eio", "fsync", "disk-full", "clock-jump",
}]  # fmt: skip


def digest() -> str:
    """One hash over traces and records of several seeds of all flows."""
    found = hashlib.sha256()
    for name in FLOWS:
        for seed in range(3):
            simulation = simulate(FLOWS[name], 3, seed=seed, faults=STORAGE)
            found.update(simulation.trace)
            found.update(repr(simulation.records).encode())
    simulation = simulate_kernel(signalled, send_signals, seed=1, faults=STORAGE)
    found.update(simulation.trace)
    return found.hexdigest()


@pytest.mark.blocking
@pytest.mark.parametrize("hash_seed", ["0", "1", "4711"])
def test_a_seed_gives_the_same_events_byte_for_byte_in_any_process(hash_seed: str) -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import test_simulation; print(test_simulation.digest())"
    command = [sys.executable, "-P", "-c", code, str(Path(__file__).parent)]
    environ = {**os.environ, "PYTHONHASHSEED": hash_seed, "AGENTFLOW_LOG": "error"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest()


def test_seeds_differ_in_the_order_of_what_runs_side_by_side() -> None:
    orders = {
        tuple(record.path for record in simulate(FLOWS["batch"], seed=seed).records if record.path.startswith("halve"))
        for seed in range(20)
    }
    assert len(orders) > 5


@pytest.mark.parametrize("name", FLOWS)
def test_no_fault_of_storage_loses_or_doubles_anything(name: str) -> None:
    """The result and the effects are those of the undisturbed run, whatever the seed does to the disk."""
    undisturbed = simulate(FLOWS[name], 3)
    crashes = 0
    for seed in range(SEEDS):
        simulation = simulate(FLOWS[name], 3, seed=seed, faults=STORAGE, expected=undisturbed.effects)
        simulation.check()
        assert (simulation.status, simulation.result) == (undisturbed.status, undisturbed.result), f"seed {seed}"
        crashes += simulation.crashes
    assert crashes > SEEDS // 2


@pytest.mark.parametrize("seed", range(SEEDS))
def test_signals_arrive_once_whatever_happens(seed: int) -> None:
    simulation = simulate_kernel(signalled, send_signals, seed=seed, faults=STORAGE)
    simulation.check()
    assert simulation.result == [True, 3]


@pytest.mark.parametrize("fault", STORAGE)
def test_each_fault_strikes(fault: str) -> None:
    struck = sum(len(simulate(FLOWS["linear"], 1, seed=seed, faults=[fault]).strikes) for seed in range(20))
    assert struck > 5


def test_an_unknown_fault_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'crash'"):
        simulate(FLOWS["linear"], faults=["crsh"])


def test_events_are_handled_at_least_once_late_and_in_the_order_of_their_key() -> None:
    """Duplicates and delays: each key's events come first in their order, and keys pass one another."""
    heard: list[tuple[str, int]] = []

    def build(world: Any) -> Kernel:
        heard.clear()
        kernel = Kernel()

        @kernel.on("thing.*")
        async def hear(event: Event) -> None:
            heard.append((event.key or "", int(event.data["n"])))  # type: ignore[call-overload,index,arg-type]

        return kernel

    async def scenario(kernel: Kernel) -> None:
        for n in range(6):
            for key in ("a", "b"):
                await kernel.publish(Event("thing.happened", {"n": n}, extensions={"partitionkey": key}))
        await kernel.idle()

    passed = doubled = 0
    for seed in range(15):
        simulate_kernel(build, scenario, seed=seed, faults=["duplicate-event", "delayed-event"]).check()
        for key in ("a", "b"):
            mine = [n for which, n in heard if which == key]
            assert mine == sorted(mine)
            assert set(mine) == set(range(6))
        doubled += len(heard) - 12
        passed += [which for which, _ in dict.fromkeys(heard)] != ["a", "b"] * 6
    assert passed > 3
    assert doubled > 3


def test_time_and_chance_of_a_process_come_from_its_seed() -> None:
    def node(value: Any, context: Context) -> Any:
        time.sleep(5)
        return [time.time(), time.monotonic(), random.random(), str(uuid.uuid4()), secrets.token_hex(4), uuid7(),
                context.now(), Event("x").time]  # fmt: skip

    before, ids = random.getstate(), uuid7()
    first, second = simulate(Flow("x").step(node), seed=1), simulate(Flow("x").step(node), seed=1)
    assert first.result == second.result != simulate(Flow("x").step(node), seed=2).result
    assert first.seconds >= 5
    assert random.getstate() == before
    assert uuid7() > ids
    assert time.time() > 1_750_000_000


def test_waiting_costs_no_time() -> None:
    async def node(value: Any, context: Context) -> float:
        await context.sleep(86_400)
        with anyio.move_on_after(100):
            await anyio.sleep_forever()
        return context.now()

    begin = time.monotonic()
    simulation = simulate(Flow("x").step(node))
    assert simulation.seconds >= 86_400 + 100
    assert time.monotonic() - begin < 10


def test_plain_functions_know_no_event_loop() -> None:
    """As in a worker thread."""

    def node(value: Any, context: Context) -> str:
        try:
            context.sleep(1)
        except Unsupported as error:
            return str(error)
        return "it slept"

    assert "runs in a thread" in str(simulate(Flow("x").step(node)).result)


async def connect(value: Any) -> None:
    await anyio.connect_tcp("127.0.0.1", 1)


def open_socket(value: Any) -> None:
    socket.create_connection(("127.0.0.1", 1))


def spawn(value: Any) -> None:
    subprocess.run(["true"], check=True)


@pytest.mark.parametrize("node", [connect, open_socket, spawn])
def test_real_input_and_output_is_refused(node: Any) -> None:
    simulation = simulate(Flow("x").step(node, effect="pure"))
    assert simulation.status == "error"
    assert "this is a simulation, in which nothing may depend on the outside" in simulation.error


def test_a_deadlock_names_the_steps_that_wait() -> None:
    async def node(value: Any, context: Context) -> None:
        await (context.wait("never") if value else anyio.sleep(1))

    simulation = simulate(Flow("x").step(node, name="ask", each=[0, 1, 1], concurrency=3))
    assert simulation.status == "deadlock"
    assert "Steps that wait: 'ask'." in simulation.error
    assert "> Event.wait:" in simulation.error
    with pytest.raises(AuditFailed, match="with seed 0, faults none"):
        simulation.check()


def test_a_task_that_never_rests_is_told() -> None:
    async def node(value: Any) -> None:
        while True:
            await anyio.lowlevel.checkpoint()

    from agentflow_kernel.testing import virtual_loop

    before, virtual_loop.MAX_TURNS = virtual_loop.MAX_TURNS, 5000
    try:
        assert "not come to an end after 5000 turns" in simulate(Flow("x").step(node)).error
    finally:
        virtual_loop.MAX_TURNS = before


def test_a_thread_with_an_event_loop_cannot_simulate() -> None:
    async def main() -> None:
        simulate(FLOWS["linear"], 1)

    with pytest.raises(RuntimeError, match="event loop"):
        anyio.run(main)
