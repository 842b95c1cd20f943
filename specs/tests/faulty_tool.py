"""Toolsets that are faulty in one way each."""

from __future__ import annotations

import os
import threading

import anyio
from anyio.lowlevel import checkpoint
from faulty import mutants_in

from agentflow_kernel.contracts.tool import Tool, ToolOutcome
from agentflow_kernel.errors import ToolFailed
from agentflow_kernel.testing import FunctionToolset
from agentflow_kernel.testing.fakes_harness import FunctionToolsetHarness

mutant = mutants_in(globals(), FunctionToolsetHarness)


@mutant("TOOL-01")
class Shuffling(FunctionToolset):
    def tools(self):
        found = list(super().tools())
        return found if len(self.calls) % 2 == 0 else found[::-1]


@mutant("TOOL-02")
class FullNames(FunctionToolset):
    def tools(self):
        return [Tool(f"set.{t.name}", t.description, t.parameters, effect=t.effect) for t in super().tools()]


@mutant("TOOL-03")
class Mute(FunctionToolset):
    def tools(self):
        return [Tool(t.name, " ", t.parameters, effect=t.effect) for t in super().tools()]


@mutant("TOOL-04")
class Misdescribing(FunctionToolset):
    def tools(self):
        return [Tool(t.name, t.name, {**t.parameters, "required": ["nothing"]}) for t in super().tools()]


@mutant("TOOL-04")
class Misspelling(FunctionToolset):
    def tools(self):
        return [Tool(t.name, t.name, {**t.parameters, "propertis": {}}) for t in super().tools()]


@mutant("TOOL-10")
class Tuples(FunctionToolset):
    async def call(self, name, arguments, context):
        return (await super().call(name, arguments, context), name)


@mutant("TOOL-11")
class Obliging(FunctionToolset):
    async def call(self, name, arguments, context):
        if name not in self._tools:
            raise ToolFailed("There is no such tool.")
        return await super().call(name, arguments, context)


@mutant("TOOL-12")
class Untyped(FunctionToolset):
    async def call(self, name, arguments, context):
        try:
            return await super().call(name, arguments, context)
        except ToolFailed as error:
            raise ValueError(str(error)) from error


@mutant("TOOL-13")
class Greedy(FunctionToolset):
    async def call(self, name, arguments, context):
        result = await super().call(name, arguments, context)
        if isinstance(arguments, dict):
            arguments.popitem()
        return result


@mutant("TOOL-14")
class Caching(FunctionToolset):
    kept: dict

    async def call(self, name, arguments, context):
        self.kept = getattr(self, "kept", {})
        if name not in self.kept:
            self.kept[name] = await super().call(name, arguments, context)
        return self.kept[name]


@mutant("TOOL-15")
class Trusting(FunctionToolset):
    async def call(self, name, arguments, context):
        str(arguments).encode()
        if "\x00" in str(arguments.get("text", "")):
            raise ValueError("embedded null byte")
        return await super().call(name, arguments, context)


@mutant("TOOL-16")
class Mixing(FunctionToolset):
    async def call(self, name, arguments, context):
        self.name, self.arguments = name, arguments
        await checkpoint()
        return await super().call(self.name if name in self._tools else name, self.arguments, context)


@mutant("TOOL-30")
class Locked(FunctionToolset):
    def __init__(self):
        super().__init__()
        self.turn = anyio.Semaphore(2)

    async def call(self, name, arguments, context):
        await self.turn.acquire()
        await checkpoint()
        result = await super().call(name, arguments, context)
        self.turn.release()
        return result


@mutant("TOOL-31")
class Swallowing(FunctionToolset):
    async def call(self, name, arguments, context):
        try:
            return await super().call(name, arguments, context)
        except anyio.get_cancelled_exc_class():
            return None


@mutant("TOOL-32")
class ClosedOnce(FunctionToolset):
    async def aclose(self):
        self._tools = {**self._tools}
        del self.calls


@mutant("TOOL-33")
class Forgetful(FunctionToolset):
    async def call(self, name, arguments, context):
        if self._tools is None:
            raise AttributeError("closed")
        return await super().call(name, arguments, context)

    async def aclose(self):
        self.tools = [tool for tool, _ in self._tools.values()].copy if self._tools else self.tools
        self._tools = None


@mutant("TOOL-34")
class Pulled(FunctionToolset):
    closed = False

    async def call(self, name, arguments, context):
        for _ in range(3):
            await checkpoint()
        if self.closed:
            raise OSError("Bad file descriptor")
        return await super().call(name, arguments, context)

    async def aclose(self):
        self.closed = True


@mutant("TOOL-35")
class Leaking(FunctionToolset):
    async def call(self, name, arguments, context):
        os.dup(0)
        return await super().call(name, arguments, context)


@mutant("TOOL-35")
class Threading(FunctionToolset):
    async def call(self, name, arguments, context):
        threading.Thread(target=threading.Event().wait, args=(20,), daemon=True, name=f"{name}-{id(self)}").start()
        return await super().call(name, arguments, context)


@mutant("TOOL-36")
class LoopBound(FunctionToolset):
    thread = None

    async def call(self, name, arguments, context):
        self.thread = self.thread or threading.get_ident()
        if self.thread != threading.get_ident():
            raise RuntimeError("attached to a different loop")
        return await super().call(name, arguments, context)


class Booking(FunctionToolset):
    """Sound: books once a key."""

    def __init__(self):
        super().__init__()
        self.keys = []

    def tools(self):
        return [*super().tools(), Tool("book", "Books.", {"type": "object"}, effect="idempotent")]

    async def call(self, name, arguments, context):
        if name != "book":
            return await super().call(name, arguments, context)
        if context.key not in self.keys:
            self.keys.append(context.key)
        return "booked"


@mutant("TOOL-18")
class Forgets(FunctionToolset):
    async def check(self, name, arguments, context):
        outcome = await super().check(name, arguments, context)
        return ToolOutcome("yes") if outcome.executed == "yes" else outcome


@mutant("TOOL-18")
class Makes(FunctionToolset):
    async def check(self, name, arguments, context):
        await self.call(name, arguments, context)
        return await super().check(name, arguments, context)


class CountingHarness(FunctionToolsetHarness):
    declared = {"fails": True, "slow": True, "counts": True, "checks": True}  # noqa: RUF012 -- as a harness has it
    examples = {**FunctionToolsetHarness.examples, "book": {}}  # noqa: RUF012 -- as a harness has it
    made_of = Booking

    def count_effects(self, toolset, name):
        return len(toolset.keys)


class BookingTwice(Booking):
    async def call(self, name, arguments, context):
        if context.attempt > 1:
            self.keys.append("again")
        return await super().call(name, arguments, context)


class BookingTwiceHarness(CountingHarness):
    made_of = BookingTwice


MUTANTS["BookingTwiceHarness"] = "TOOL-17"  # noqa: F821 -- mutants_in made it
