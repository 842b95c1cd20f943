"""Sources that are faulty in one way each: variants of a sound one that tells of the lines of a text in memory."""

from __future__ import annotations

import os
import threading
import time
from contextlib import asynccontextmanager

import anyio
from anyio.lowlevel import checkpoint
from faulty import mutants_in

from agentflow_kernel.contracts.source import SourceItem
from agentflow_kernel.errors import InputInvalid, UsageError
from agentflow_kernel.event import Event

PIECE_BYTES = 65_536


class Input:
    """Bytes that may grow, or be missing."""

    def __init__(self, content, finite):
        self.content = content
        self.finite = finite

    def read(self, offset):
        if self.content is None:
            raise FileNotFoundError("no input")
        return self.content[offset : offset + PIECE_BYTES]


class Sound:
    continues = True

    def __init__(self, text):
        self.text = text
        self.closed = False
        self.waits = set()

    async def events(self, cursor=None):
        self.check()
        offset = self.place(cursor)
        while not self.closed:
            line = await self.line(offset)
            if line is None:
                return
            yield self.item(offset, line)
            offset += len(line)

    def check(self):
        if self.closed:
            raise UsageError("The source has been closed.")

    def place(self, cursor):
        if cursor is None:
            return 0
        if not isinstance(cursor, dict) or set(cursor) != {"line_end"} or not isinstance(cursor["line_end"], int):
            raise InputInvalid("Cursor", "it is none of this source.")
        return cursor["line_end"]

    async def line(self, offset):
        """The line that begins there, once it is whole; None at the end."""
        while not self.closed:
            piece = self.read(offset)
            end = piece.find(b"\n") + 1
            if end or len(piece) == PIECE_BYTES:
                return piece[: end or PIECE_BYTES]
            if self.text.finite:
                return piece or None
            await self.wait()
        return None

    def read(self, offset):
        try:
            return self.text.read(offset)
        except OSError as error:
            raise InputInvalid("Input", "there is none.") from error

    async def wait(self):
        with anyio.move_on_after(0.01) as scope:
            self.waits.add(scope)
            try:
                await anyio.sleep_forever()
            finally:
                self.waits.discard(scope)

    def item(self, offset, line):
        data = {"line": line.decode("utf-8", "replace")}
        event = Event("test.line.read", data, source="urn:test:lines", id=f"line-{offset}")
        return SourceItem(event, {"line_end": offset + len(line)})

    async def aclose(self):
        self.closed = True
        for scope in self.waits:
            scope.cancel()


class SoundHarness:
    kind = "source"
    declared = {  # noqa: RUF012 -- as a harness has it
        "finite": True, "resumes": True, "continues": True, "content": True, "fails": True, "slow": True, "feeds": True,
    }  # fmt: skip
    known_deviations = {}  # noqa: RUF012 -- as a harness has it
    items = 3
    failing = {"missing": InputInvalid}  # noqa: RUF012 -- as a harness has it
    made_of = Sound

    @asynccontextmanager
    async def at(self, text):
        source = self.made_of(text)
        yield source
        await source.aclose()

    def open(self):
        return self.at(Input(b"one\ntwo\nthree", finite=True))

    def again(self, source):
        return self.at(source.text)

    def open_on(self, content):
        return self.at(Input(content, finite=True))

    def open_failing(self, name):
        return self.at(Input(None, finite=True))

    def open_slow(self):
        return self.at(Input(b"", finite=False))

    async def feed(self, source):
        for piece in (b"half a ", b"line\n"):
            source.text.content += piece
            await anyio.sleep(0.01)


mutant = mutants_in(globals(), SoundHarness)


@mutant("SOURCE-01")
class Tuples(Sound):
    def item(self, offset, line):
        item = super().item(offset, line)
        return SourceItem(item.event, ("line_end", offset))


@mutant("SOURCE-02")
class SameNames(Sound):
    def item(self, offset, line):
        item = super().item(offset, line)
        return SourceItem(Event("test.line.read", item.event.data, source="urn:test:lines", id="line"), item.cursor)


@mutant("SOURCE-03")
class Endless(Sound):
    async def line(self, offset):
        found = await super().line(offset)
        while found is None and not self.closed:
            await self.wait()
        return found


@mutant("SOURCE-03")
class Short(Sound):
    async def line(self, offset):
        found = await super().line(offset)
        return found if found is None or found.endswith(b"\n") else None


@mutant("SOURCE-04")
class OneCursor(Sound):
    def __init__(self, text):
        super().__init__(text)
        self.cursor = {}

    def item(self, offset, line):
        item = super().item(offset, line)
        self.cursor.update(item.cursor)
        return SourceItem(item.event, self.cursor)


@mutant("SOURCE-05")
class Shared(Sound):
    open_now = 0

    async def events(self, cursor=None):
        Shared.open_now += 1
        try:
            async for item in super().events(cursor):
                if Shared.open_now == 1 or not item.event.data["line"].startswith("two"):
                    yield item
                await checkpoint()
        finally:
            Shared.open_now -= 1


@mutant("SOURCE-06")
class Anonymous(Sound):
    def item(self, offset, line):
        item = super().item(offset, line)
        return SourceItem(Event("test.line.read", item.event.data, id=item.event.id), item.cursor)


@mutant("SOURCE-10")
class Repeating(Sound):
    def item(self, offset, line):
        return SourceItem(super().item(offset, line).event, {"line_end": offset})


@mutant("SOURCE-10")
class Forgetful(Sound):
    def place(self, cursor):
        return min(super().place(cursor), 0)


@mutant("SOURCE-11")
class Trusting(Sound):
    def place(self, cursor):
        return cursor.get("line_end", 0) if isinstance(cursor, dict) else 0


@mutant("SOURCE-12")
class Renaming(Sound):
    def item(self, offset, line):
        item = super().item(offset, line)
        return SourceItem(Event("test.line.read", item.event.data, source="urn:test:lines"), item.cursor)


@mutant("SOURCE-20")
class Strict(Sound):
    def read(self, offset):
        if not self.text.content and self.text.finite:
            raise InputInvalid("Input", "it is empty.")
        return super().read(offset)


@mutant("SOURCE-21")
class Decoding(Sound):
    def item(self, offset, line):
        line.decode()
        return super().item(offset, line)


@mutant("SOURCE-21")
class Echoing(Sound):
    def item(self, offset, line):
        if b"\x1b" in line:
            raise InputInvalid("Input", f"it is {line.decode()}.")
        return super().item(offset, line)


@mutant("SOURCE-22")
class Swallowing(Sound):
    def read(self, offset):
        self.whole = bytearray(self.text.content or b"")
        return super().read(offset)


@mutant("SOURCE-23")
class Untyped(Sound):
    def read(self, offset):
        return self.text.read(offset)


@mutant("SOURCE-24")
class Impatient(Sound):
    async def line(self, offset):
        piece = self.read(offset)
        while not piece and not self.text.finite and not self.closed:
            await self.wait()
            piece = self.read(offset)
        return piece[: piece.find(b"\n") + 1] or piece or None


@mutant("SOURCE-25")
class Blocking(Sound):
    async def wait(self):
        time.sleep(0.3)  # noqa: ASYNC251 -- that is the fault
        await checkpoint()


@mutant("SOURCE-30")
class Taking(Sound):
    async def line(self, offset):
        found = await super().line(offset)
        content, self.text.content = self.text.content, b""
        await checkpoint()
        await checkpoint()
        self.text.content = content
        return found


@mutant("SOURCE-31")
class Deaf(Sound):
    async def wait(self):
        with anyio.CancelScope(shield=True), anyio.move_on_after(6):
            await anyio.sleep_forever()


@mutant("SOURCE-32")
class ClosedOnce(Sound):
    async def aclose(self):
        self.check()
        await super().aclose()


@mutant("SOURCE-33")
class Immortal(Sound):
    async def events(self, cursor=None):
        self.closed = False
        async for item in super().events(cursor):
            yield item


@mutant("SOURCE-34")
class Sleeping(Sound):
    async def wait(self):
        await anyio.sleep_forever()


@mutant("SOURCE-35")
class Unstoppable(Sound):
    async def events(self, cursor=None):
        self.check()
        offset = self.place(cursor)
        while (line := self.text.read(offset).partition(b"\n")[0]) or not self.text.finite:
            yield self.item(offset, line)
            offset += len(line) + 1


@mutant("SOURCE-36")
class Leaking(Sound):
    def item(self, offset, line):
        os.dup(0)
        return super().item(offset, line)


@mutant("SOURCE-36")
class Threads(Sound):
    async def wait(self):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        await super().wait()
