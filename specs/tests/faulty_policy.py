"""Policies that are faulty in one way each: variants of a sound one that repeats calls and ends them in time."""

from __future__ import annotations

import copy
import os
from contextlib import asynccontextmanager
from random import Random

import anyio
from faulty import mutants_in

from agentflow_kernel.errors import AgentFlowError, BudgetExceeded, ControlFlow, Elapsed, Refused, UsageError
from agentflow_kernel.testing import FakeClock


class Sound:
    attempts = 4
    final = (UsageError, Refused, ControlFlow, BudgetExceeded)
    caught = Exception

    def __init__(self, clock):
        self.clock = clock
        self.random = Random(1)

    def wrap(self, call):
        async def wrapped(request):
            for attempt in range(1, self.attempts + 1):
                try:
                    return await self.once(call, request)
                except self.caught as error:
                    if attempt == self.attempts or self.is_final(error, request):
                        raise
                    wait_s = (getattr(error, "retry_after_s", None) or 0) * self.unit + self.draw()
                await self.clock.sleep(wait_s)
                self.count(request)
            raise AssertionError

        return wrapped

    unit = 1

    def draw(self):
        return self.random.random()

    def count(self, request):
        request.attempt += 1

    def is_final(self, error, request):
        members = error.exceptions if isinstance(error, ExceptionGroup) else [error]
        return any(
            isinstance(one, self.final)
            or (
                not request.idempotent
                and (getattr(one, "executed", "maybe") if isinstance(one, AgentFlowError) else "maybe") != "no"
            )
            for one in members
        )

    async def once(self, call, request):
        with anyio.move_on_after(0.3):
            return await call(request)
        raise Elapsed("The call", 0.3)


class SoundHarness:
    kind = "policy"
    declared = {"repeats": True, "ends-late-calls": True}  # noqa: RUF012 -- as a harness has it
    known_deviations = {}  # noqa: RUF012 -- as a harness has it
    made_of = Sound

    @asynccontextmanager
    async def open(self):
        self.clock = FakeClock(auto=True)
        yield self.made_of(self.clock)


class SoundOnce(Sound):
    """Sound, and repeats nothing."""

    attempts = 1


class SoundOnceHarness(SoundHarness):
    declared = {"repeats": False, "ends-late-calls": True}  # noqa: RUF012 -- as a harness has it
    made_of = SoundOnce


mutant = mutants_in(globals(), SoundHarness)
once = {"declared": SoundOnceHarness.declared}


@mutant("POLICY-01")
class Insisting(Sound):
    async def once(self, call, request):
        return await super().once(call, request) or await super().once(call, request)


@mutant("POLICY-02")
class CopyingRequests(Sound):
    async def once(self, call, request):
        return await super().once(call, copy.copy(request))


@mutant("POLICY-02")
class Renaming(Sound):
    async def once(self, call, request):
        request.key = f"{request.key}/{request.attempt}"
        return await super().once(call, request)


@mutant("POLICY-03")
class Eager(Sound):
    def wrap(self, call):
        anyio.current_time()
        return super().wrap(call)


@mutant("POLICY-04")
class Persistent(Sound):
    final = (ControlFlow,)


@mutant("POLICY-05")
class RepeatingControl(Sound):
    final = (UsageError, Refused, BudgetExceeded)


@mutant("POLICY-06")
class Doubling(Sound):
    def is_final(self, error, request):
        return isinstance(error, self.final)


@mutant("POLICY-07")
class Unending(Sound):
    caught = BaseException

    def is_final(self, error, request):
        return not isinstance(error, KeyboardInterrupt) and super().is_final(error, request)


@mutant("POLICY-10")
class Swallowing(Sound):
    async def once(self, call, request):
        try:
            return await super().once(call, request)
        except anyio.get_cancelled_exc_class():
            return None


@mutant("POLICY-11")
class Shielding(Sound):
    def wrap(self, call):
        inner = super().wrap(call)

        async def wrapped(request):
            with anyio.CancelScope(shield=True):
                return await inner(request)

        return wrapped


@mutant("POLICY-12")
class Mixing(Sound):
    async def once(self, call, request):
        self.result = await super().once(call, request)
        await anyio.lowlevel.checkpoint()
        return self.result


@mutant("POLICY-13")
class Marking(Sound):
    inside = False

    async def once(self, call, request):
        if self.inside:
            raise RuntimeError("recursion")
        self.inside = True
        try:
            return await super().once(call, request)
        finally:
            self.inside = False


@mutant("POLICY-14")
class Leaking(Sound):
    async def once(self, call, request):
        os.dup(0)
        return await super().once(call, request)


@mutant("POLICY-20")
class OnlyIfSafe(Sound):
    def is_final(self, error, request):
        return request.idempotent or super().is_final(error, request)


@mutant("POLICY-21")
class Uncounted(Sound):
    def count(self, request):
        request.attempt = 2


@mutant("POLICY-22")
class FirstError(Sound):
    def wrap(self, call):
        inner = super().wrap(call)

        async def wrapped(request):
            try:
                return await inner(request)
            except AgentFlowError as error:
                raise type(error)("given up", executed="no") from error

        return wrapped


@mutant("POLICY-22")
class Endless(Sound):
    attempts = 10_000


@mutant("POLICY-23")
class Milliseconds(Sound):
    unit = 0.001


@mutant("POLICY-24")
class Together(Sound):
    def draw(self):
        return 0.5


@mutant("POLICY-30", **once)
class Letting(SoundOnce):
    async def once(self, call, request):
        with anyio.move_on_after(0.3):
            return await call(request)
        raise TimeoutError


@mutant("POLICY-31", **once)
class Converting(SoundOnce):
    async def once(self, call, request):
        scope = anyio.CancelScope(deadline=anyio.current_time() + 0.3)
        try:
            with scope:
                return await call(request)
        except anyio.get_cancelled_exc_class():
            raise Elapsed("The call", 0.3) from None
        raise Elapsed("The call", 0.3)


@mutant("POLICY-32", **once)
class TakingAll(SoundOnce):
    async def once(self, call, request):
        try:
            return await super().once(call, request)
        except TimeoutError as error:
            raise Elapsed("The call", 0.3) from error
