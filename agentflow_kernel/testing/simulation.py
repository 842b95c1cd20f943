"""A simulation: a flow or a whole kernel run in a world of its own, where a seed decides order, time and faults."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from agentflow_kernel.contracts.values import Value
from agentflow_kernel.errors import (
    AgentFlowError,
    Fenced,
    RunBusy,
    RunEnded,
    RunError,
    RunFailed,
    RunSuspended,
    StorageUnavailable,
)
from agentflow_kernel.kernel.core import Kernel, intercept, renew, rewire
from agentflow_kernel.run.loopless import drive_to_end
from agentflow_kernel.testing.faults import OF_CALLS, Faults
from agentflow_kernel.testing.isolation import artifacts_folder, refuse_inside_a_loop
from agentflow_kernel.testing.simulated_bus import SimulatedBus
from agentflow_kernel.testing.simulation_errors import AuditFailed, Deadlock, ProcessEnded
from agentflow_kernel.testing.virtual_loop import on_the_spot
from agentflow_kernel.testing.world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from agentflow_kernel.agent import Agent
    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.run.flow import Flow
    from agentflow_kernel.run.handle import RunHandle
    from agentflow_kernel.testing.auditor import Audit

    Target = Flow | Agent | Callable[[World], Flow | Agent]
    """A flow or agent, or what builds it anew for each process; the builder may use the world's ledger and fakes."""
    Scenario = Callable[[Kernel], Awaitable[object]]
    """What a process does with its open kernel; a new process does it again, so starts need keys."""

MOST_PROCESSES = 200
"""Processes after which a simulation counts as one that never ends."""
PAUSE_S = 1.0
"""Between two attempts to go on with a suspended run, in virtual seconds."""
TAKE_OVER_S = 60.0
"""Up to how long a second owner works, in virtual seconds; then it hands over what has not ended."""
_KEY = "simulation"


class Simulation(Value):
    """What came of one simulation; two of the same seed, faults and code are equal.

    ``status`` is how the run or scenario ended: ``completed`` with its ``result``, ``failed``, ``stuck``, ``deadlock``,
    or ``error``; ``error`` is the text and code of what was raised. ``trace`` holds everything that happened as JSON
    lines, ``crashes`` counts the processes that were ended, ``strikes`` are all faults in order.
    """

    __slots__ = (
        "seed", "faults", "status", "result", "error", "effects", "trace", "records", "crashes", "strikes",
        "operations", "seconds", "audit",
    )  # fmt: skip

    def __init__(self, world: World, outcome: Outcome, audit: Audit, records: Sequence[Record]) -> None:
        self.seed = world.seed
        self.faults = world.faults.names
        self.status = outcome.status
        self.result = outcome.result
        self.error = outcome.error
        self.effects = frozenset(world.ledger.applied)
        """The idempotency keys of all effects in the ledger."""
        self.trace = world.trace.as_bytes()
        self.records = tuple(records)
        self.crashes = audit.crashes
        self.strikes = tuple(world.faults.strikes)
        self.operations = world.operations
        """Durable operations of all processes together."""
        self.seconds = world.clock.monotonic()
        """Virtual seconds from the beginning to the end."""
        self.audit = audit

    @property
    def violations(self) -> tuple[str, ...]:
        """What the auditor found, and a deadlock."""
        found = self.audit.violations
        return (*found, self.error) if self.status in {"deadlock", "error"} else found

    def check(self) -> None:
        """Raise :class:`AuditFailed` where something is wrong."""
        if self.violations:
            raise AuditFailed(self.violations, f" with seed {self.seed}, faults {', '.join(self.faults) or 'none'}")


def differences(undisturbed: Simulation, simulation: Simulation) -> list[str]:
    """What is wrong with a simulation, by itself and beside the one in which nothing happened; empty where nothing is.

    A run that failed may have done so rightly if calls of it went wrong: its policies need not outlast that.
    """
    problems = list(simulation.violations)
    excused = simulation.status == "failed" and any(strike.name in OF_CALLS for strike in simulation.strikes)
    for name in () if excused or problems else ("status", "result", "effects"):
        before, after = getattr(undisturbed, name), getattr(simulation, name)
        if before != after:
            error = f" ({simulation.error})" if simulation.error and name == "status" else ""
            problems.append(f"its {name} is {after!r}{error}, undisturbed it is {before!r}")
    return problems


class Outcome(Value):
    """How one process of a simulation ended."""

    __slots__ = ("status", "result", "error")

    def __init__(self, status: str, result: object = None, error: str = "") -> None:
        self.status = status
        self.result = result
        self.error = error


def simulate(
    target: Target,
    value: object = None,
    *,
    seed: int = 0,
    faults: Iterable[str] | Faults = (),
    expected: Iterable[str] = (),
) -> Simulation:
    """Run a flow or agent in a simulated world until it has ended, through every crash that the seed has for it.

    ``faults`` are names of :data:`FAULTS`. ``expected`` are idempotency keys that must be in the ledger of effects.
    Blocks the calling thread, which must have no event loop at work; virtual time costs nothing.
    Raises :class:`UnknownName` for an unknown fault and ``RuntimeError`` inside an event loop. What goes wrong in the
    run itself is part of the result: :meth:`Simulation.check` raises it.
    """
    world = World(seed, faults if isinstance(faults, Faults) else Faults(faults, seed))
    build: Any = (lambda _world: target) if hasattr(target, "name") else target

    targets: dict[Kernel, Any] = {}

    def make() -> Kernel:
        kernel = Kernel()
        targets[kernel] = build(world)
        kernel.add(targets[kernel])
        return kernel

    async def scenario(kernel: Kernel) -> object:
        handle = await kernel.start(targets.pop(kernel), value, key=_KEY)
        return await _finish(world, kernel, handle)

    return run_world(world, make, scenario, expected=expected)


def simulate_kernel(
    build: Callable[[World], Kernel] | Kernel,
    scenario: Scenario,
    *,
    seed: int = 0,
    faults: Iterable[str] | Faults = (),
    expected: Iterable[str] = (),
) -> Simulation:
    """Run a whole kernel, with its triggers and its bus: ``build`` makes it for each process, ``scenario`` uses it.

    A kernel from a manifest may stand in the place of ``build``: each process gets a new one from the manifest as it
    was read, so that many simulations read and compile it once. The kernel's journal, clock, random source and bus are
    those of the world, whatever ``build`` has chosen. After a crash the next process does the scenario again: start
    runs with a ``key``.
    Raises as :func:`simulate` does.
    """
    world = World(seed, faults if isinstance(faults, Faults) else Faults(faults, seed))

    make = partial(renew, build) if isinstance(build, Kernel) else partial(build, world)
    return run_world(world, make, scenario, expected=expected)


def run_world(
    world: World, make: Callable[[], Kernel], scenario: Scenario, *, expected: Iterable[str] = ()
) -> Simulation:
    """Let processes follow one another in a world until one comes to its end, then audit it."""
    refuse_inside_a_loop()
    with artifacts_folder() as world.artifacts:
        return _processes(world, make, scenario, expected)


def _processes(world: World, make: Callable[[], Kernel], scenario: Scenario, expected: Iterable[str]) -> Simulation:
    def wired() -> Kernel:
        kernel: Kernel = on_the_spot(make)  # it may read files, as before there was a loop
        rewire(
            kernel,
            journal=world.journal(),
            clock=world.clock,
            random=world.random("policies"),
            bus=partial(SimulatedBus, world=world),
            artifacts=world.artifacts,
        )
        if kernel.manifest is not None:
            intercept(kernel, partial(_wrap, world))
        world.listen_to(kernel)
        return kernel

    async def main() -> Outcome | None:
        kernel = wired()
        async with kernel:
            if world.process > 1:
                await kernel.recover()
            result = await scenario(kernel)
            await _settle(world, kernel)
        return Outcome("completed", result)

    async def successor() -> None:
        with suppress(StorageUnavailable):
            async with wired() as kernel:
                await kernel.recover()
                with anyio.move_on_after(TAKE_OVER_S * world.dice.random()):
                    await kernel.idle()

    world.successor = successor
    outcome = None
    for _ in range(MOST_PROCESSES):
        outcome = _one_process(world, main)
        if outcome is not None:
            break
    else:
        outcome = Outcome("error", None, f"It has not come to an end in {MOST_PROCESSES} processes.")
    stuck = outcome.status in {"deadlock", "error"}
    audit = drive_to_end(world.auditor.audit(world.disk.cache, expected=expected, at_rest=not stuck), "The audit")
    return Simulation(world, outcome, audit, drive_to_end(_all_records(world), "The journal"))


def _wrap(world: World, kind: str, name: str, make: Callable[[], Any]) -> object:
    """What stands for an object of a manifest in a simulated process: nothing of it may reach beyond the world."""
    if kind == "journal":
        return world.journal()
    if kind == "memory":
        return world.memory(name)
    if kind == "provider":
        return world.provider(make(), name)
    return world.toolset(make(), name) if kind == "tool" else make()


def _one_process(world: World, main: Callable[[], Any]) -> Outcome | None:
    """How the simulation ended; ``None`` where another process has to go on."""
    outcome: Outcome | None = None
    try:
        outcome = world.live(main)
    except ProcessEnded:
        return None
    except Deadlock as deadlock:
        return Outcome("deadlock", None, str(deadlock))
    except (Fenced, RunBusy) as error:  # a second owner has what this one wanted to go on with: it begins again
        return None if world.process in world.taken_over else Outcome("error", None, _text(error))
    except RunEnded as error:
        goes_on = error.status == "suspended" or world.process in world.taken_over  # a second owner has ended it
        return None if goes_on else Outcome("error", None, _text(error))
    except StorageUnavailable:  # the next process opens the journal anew
        return None
    except RunError as error:
        if isinstance(error, RunSuspended) and error.status == "suspended":
            return None
        return Outcome(_status(error), None, _text(error))
    except Exception as error:  # noqa: BLE001 -- whatever a scenario raises is what came of the simulation
        return Outcome("error", None, _text(error))
    return outcome


def _status(error: RunError) -> str:
    if isinstance(error, RunSuspended):
        return error.status
    return "failed" if isinstance(error, RunFailed) else "cancelled"


def _text(error: Exception) -> str:
    code = error.code if isinstance(error, AgentFlowError) else type(error).__name__
    return f"{code}: {error}"


async def _finish(world: World, kernel: Kernel, handle: RunHandle) -> object:
    """The output of a run, resumed as often as it is suspended."""
    while True:
        try:
            return await handle.result()
        except RunSuspended as error:
            if error.status != "suspended" or world.process in world.taken_over:
                raise
            await _pause(world)
            handle = await kernel.resume(handle.run_id)


async def _pause(world: World) -> None:
    """Wait before the next attempt; raises :class:`StorageUnavailable` where only a new process can go on."""
    world.check_journal()
    await world.clock.sleep(PAUSE_S)


async def _settle(world: World, kernel: Kernel) -> None:
    """Return when the bus is empty and every run has ended or needs a person."""
    await kernel.idle()
    while await kernel.runs(status="suspended", limit=1):
        await _pause(world)
        await kernel.recover()
        await kernel.idle()


async def _all_records(world: World) -> list[Record]:
    """The histories of all runs, in the order of their ids."""
    journal = world.disk.cache
    heads = sorted(await journal.runs(limit=1_000_000), key=lambda info: info.run_id)
    return [record for info in heads for record in await journal.read(info.run_id)]
