"""A stored history: a flow's journal as one release wrote it, whole, cut in its middle or after one type of record.

``python tests/chaos/stored.py VERSION`` writes those of a release to ``histories/VERSION/histories.jsonl.gz``: one JSON
object a line with ``case``, ``cut`` (how many records of the first run are kept), ``runs`` (the encoded records of each
run, as text) and ``blobs``. A line is never changed: lines of flows that are new come after those that are there.
"""

from __future__ import annotations

import base64
import gzip
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from crash import Estate, Life
from flows import CASES

from agentflow_kernel.contracts.journal import decode_record, encode_record
from agentflow_kernel.testing import InProcessJournal, InProcessMemory

HERE = Path(__file__).parent
if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows import Case

FOLDER = HERE / "histories"


class Stored:
    """One history of one release."""

    def __init__(self, version: str, line: dict[str, Any]) -> None:
        self.version = version
        self.case: Case = CASES[line["case"]]
        self.cut: int = line["cut"]
        self.runs: list[list[str]] = line["runs"]
        self.blobs: list[str] = line["blobs"]

    @property
    def name(self) -> str:
        """What a test is called."""
        return f"{self.version}-{self.case.name}-{self.cut}"

    async def put_into(self, journal: Any) -> set[tuple[str, str]]:
        """Append everything, as the process that died did; run and path of what was done for good."""
        for blob in self.blobs:
            await journal.put_blob(base64.b64decode(blob))
        done = set()
        for lines in self.runs:
            records = [decode_record(line.encode()) for line in lines]
            for record in records:
                await journal.append(record.run_id, record.seq, record.epoch, [record])
                if record.type in ("step.completed", "compensation.completed"):
                    done.add((record.run_id, record.path))
                elif record.type == "compensation.started" and not record.path:  # what failed is never done again
                    done |= {(record.run_id, path) for path in self.case.effects if not path.endswith("!compensate")}
        return done

    @property
    def has_ended(self) -> bool:
        """Whether all its runs have ended."""
        return all(decode_record(lines[-1].encode()).type == "run.ended" for lines in self.runs)

    @property
    def types(self) -> set[str]:
        """The types of its records."""
        return {decode_record(line.encode()).type for lines in self.runs for line in lines}


def stored() -> Iterator[Stored]:
    """Every history of every release."""
    for file in sorted(FOLDER.glob("*/histories.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from (Stored(file.parent.name, json.loads(line)) for line in lines)


async def write_case(case: Case, folder: str, seen: set[str]) -> list[dict[str, Any]]:
    """The lines of one flow: whole, cut in the middle, and cut behind each type of record that is new."""
    journal = InProcessJournal()
    estate = Estate(journal, InProcessMemory(), folder)
    await Life(case, estate, 1).live()
    histories = list((await estate.histories()).values())
    histories.sort(key=lambda records: _rank(case, records[0].payload))
    first = histories[0]
    needed = histories[1:] if case.copy is not None else []
    cuts = {len(first), len(first) // 2}
    for place, record in enumerate(first, 1):
        if record.type not in seen and place < len(first):
            seen.add(record.type)
            cuts.add(place)
    lines = []
    for cut in sorted(cuts, reverse=True):
        kept = [first[:cut], *(histories[1:] if cut == len(first) else needed)]
        refs = sorted({record.ref for records in kept for record in records if record.ref})
        blobs = [base64.b64encode(await journal.get_blob(ref)).decode() for ref in refs]
        runs = [[encode_record(record).decode() for record in records] for records in kept]
        lines.append({"case": case.name, "cut": cut, "runs": runs, "blobs": blobs})
    return lines


def _rank(case: Case, started: Any) -> tuple[bool, bool]:
    """A copy comes before the run that it is of, and a run of the flow itself before those of others."""
    return started["name"].partition("/")[2] not in (case.name, "helper"), "forked_from" not in started


async def write(version: str) -> None:
    """Write the histories of a release that are not there yet."""
    target, seen = FOLDER / version / "histories.jsonl.gz", set[str]()
    target.parent.mkdir(parents=True, exist_ok=True)
    text = gzip.decompress(target.read_bytes()).decode() if target.exists() else ""
    before = [Stored(version, json.loads(line)) for line in text.splitlines()]
    seen.update(decode_record(each.runs[0][-1].encode()).type for each in before if not each.has_ended)
    lines = []
    for case in CASES.values():
        if case.name not in {each.case.name for each in before}:
            with tempfile.TemporaryDirectory() as folder:
                lines += await write_case(case, folder, seen)
    text += "".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines)
    target.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{target}: {len(before)} histories kept, {len(lines)} new, {target.stat().st_size} bytes")


if __name__ == "__main__":
    anyio.run(write, sys.argv[1])
