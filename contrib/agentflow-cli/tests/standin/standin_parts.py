"""What the stand-in plugin offers."""

from __future__ import annotations

import os
import pathlib
from hashlib import sha256

from agentflow_kernel import Event
from agentflow_kernel.contracts.journal import Record, RunInfo, decode_record, encode_record, fold
from agentflow_kernel.contracts.provider import ModelInfo, Prices
from agentflow_kernel.contracts.source import SourceItem
from agentflow_kernel.contracts.tool import Tool
from agentflow_kernel.errors import InputInvalid, UnknownRun


class FileJournal:
    """One file a run, one record a line, synced; any process may read."""

    def __init__(self, settings, context):
        self.folder = pathlib.Path(context.state_folder or ".", "standin-journal")

    async def append(self, run_id, expected_seq, epoch, records):
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / run_id).open("ab") as stream:
            stream.write(b"".join(encode_record(record) + b"\n" for record in records))
            stream.flush()
            os.fsync(stream.fileno())

    async def read(self, run_id, from_seq=0):
        return [record for record in self._records(run_id) if record.seq >= from_seq]

    async def head(self, run_id):
        records = self._records(run_id)
        if not records:
            raise UnknownRun(run_id)
        info = RunInfo(run_id)
        for record in records:
            fold(info, record)
        return info

    async def runs(self, *, status=None, limit=100):
        names = os.listdir(self.folder) if self.folder.is_dir() else []
        infos = [await self.head(name) for name in names if "." not in name and self._records(name)]
        infos.sort(key=lambda info: (info.started_at, info.run_id), reverse=True)
        return [info for info in infos if status is None or info.status == status][:limit]

    async def put_blob(self, data):
        ref = sha256(data).hexdigest()
        (self.folder / f"{ref}.blob").write_bytes(data)
        return ref

    async def get_blob(self, ref):
        return (self.folder / f"{ref}.blob").read_bytes()

    async def prune(self, before, statuses=("completed", "failed", "cancelled"), *, limit=100):
        infos = await self.runs(limit=1_000_000)
        gone = [info.run_id for info in infos if info.status in statuses and info.updated_at < before][:limit]
        for run_id in gone:
            (self.folder / run_id).unlink()
        return gone

    async def collect(self, *, grace_s=3600.0):
        return 0

    async def compact(self, run_id, seq, epoch):
        records = self._records(run_id)
        kept = [record for record in records if not 0 < record.seq < seq]
        draft = self.folder / f"{run_id}.draft"
        draft.write_bytes(b"".join(encode_record(record) + b"\n" for record in kept))
        draft.replace(self.folder / run_id)
        return len(records) - len(kept)

    async def aclose(self):
        pass

    def _records(self, run_id) -> list[Record]:
        try:
            written = (self.folder / run_id).read_bytes()
        except FileNotFoundError:
            return []
        whole = written[: written.rfind(b"\n") + 1]  # another process may be in the middle of its next line
        return [decode_record(line) for line in whole.splitlines()]


class Lines:
    """One event for each line of a file."""

    def __init__(self, settings, context):
        self.path = pathlib.Path(context.folder, settings.path)

    async def events(self, cursor=None):
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise InputInvalid(f"Source file {str(self.path)!r}", f"{error.strerror}. Give another path.") from error
        for number, line in enumerate(lines, 1):
            yield SourceItem(Event("line.read", {"line": line}, source="lines"), number)

    async def aclose(self):
        pass


class Cabinet:
    """A toolset that has nothing to do."""

    def __init__(self, settings, context):
        self.root = settings.root

    def tools(self):
        path = {"type": "object", "properties": {"path": {"type": "string"}, "limit": {"type": "integer"}}}
        return [
            Tool("open", f"Open a drawer of {self.root}.", {**path, "required": ["path"]}, effect="pure"),
            Tool("burn", "Burn it all.\x1b[31m", {"type": "object", "properties": {}}),
        ]

    async def call(self, name, arguments, context):
        return {"name": name}

    async def aclose(self):
        pass


class Idle:
    """A provider and a planner that nobody asks."""

    def __init__(self, settings, context):
        pass

    async def aclose(self):
        pass


MODELS = (
    ModelInfo(
        "echo-1",
        aliases=["echo"],
        context_tokens=1000,
        prices=Prices(1.0, 2.0, as_of="2026-11-21", source="made up"),
    ),
)
