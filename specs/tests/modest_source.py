"""A source that can do little, as a webhook without a store could, and harnesses that say wrong things of it."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio

from agentflow_kernel.contracts.source import SourceItem
from agentflow_kernel.errors import Unsupported, UsageError
from agentflow_kernel.event import Event

NO = dict.fromkeys(("finite", "resumes", "continues", "content", "fails", "slow", "feeds"), False)


class Modest:
    """Gives two events and waits for its end."""

    def __init__(self):
        self.ended = anyio.Event()

    async def events(self, cursor=None):
        if self.ended.is_set():
            raise UsageError("closed")
        if cursor is not None:
            raise Unsupported("A cursor", "nothing is kept.")
        for number in range(2):
            if self.ended.is_set():
                return
            yield SourceItem(Event("test.hook.called", {"number": number}, source="urn:test:hook"), None)
        await self.ended.wait()

    async def aclose(self):
        self.ended.set()


class ModestHarness:
    kind = "source"
    declared = NO
    known_deviations = {}  # noqa: RUF012 -- as a harness has it
    event_loops = ("asyncio",)
    items = 2
    made_of = Modest

    @asynccontextmanager
    async def open(self):
        source = self.made_of()
        yield source
        await source.aclose()

    def again(self, source):
        return self.open()


class Deaf(Modest):
    """Takes any cursor and ignores it."""

    def events(self, cursor=None):
        return super().events()


class DeniesHarness(ModestHarness):
    made_of = Deaf


class BoastsHarness(ModestHarness):
    declared = {**NO, "continues": True}  # noqa: RUF012 -- as a harness has it


class SilentHarness(ModestHarness):
    declared = {name: answer for name, answer in NO.items() if name != "feeds"}  # noqa: RUF012 -- as a harness has it
