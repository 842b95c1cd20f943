"""A layout: which keys a store has, and how the head of a run stands under its key.

``r`` run, seq → record; ``h`` run → head; ``s`` start (newest first), run → nothing; ``b`` hash → blob;
``q`` damaged run → how many of its records are missing; ``c`` compacted run → the seq of the snapshot that follows its
first record; ``m`` name → a number about the whole store.
"""

from __future__ import annotations

import json
import struct
import zlib
from operator import attrgetter

from agentflow_kernel.contracts.journal import RunInfo
from agentflow_kernel.errors import CorruptRecord
from agentflow_kernel.json_text import write

SCHEMA_VERSION = 1
RECORDS, HEADS, STARTS, BLOBS, MISSING, BASES = b"r", b"h", b"s", b"b", b"q", b"c"
VERSION, LAST, LOST = b"mversion", b"mlast", b"mlost"
"""The schema; how many records there were ever; how many are missing that belong to nobody known."""
_fields_of = attrgetter(*RunInfo.__slots__)
_SIGN = 1 << 63
_ALL = (1 << 64) - 1


def records_of(run_id: str) -> bytes:
    """What the keys of a run's records begin with; no other run's do."""
    name = run_id.encode()
    return RECORDS + struct.pack(">I", len(name)) + name


def record_key(run_id: str, seq: int) -> bytes:
    """Keys of one run sort by ``seq``."""
    return records_of(run_id) + struct.pack(">Q", seq)


def split_record_key(key: bytes) -> tuple[str, int]:
    """The run and the place of a record's key."""
    (length,) = struct.unpack(">I", key[1:5])
    (seq,) = struct.unpack(">Q", key[5 + length :])
    return key[5 : 5 + length].decode(), seq


def start_key(started_at: float, run_id: str) -> bytes:
    """Keys sort by the start, the newest first: the bits of a double sort as it does, once the sign is turned."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", started_at))
    rank = bits ^ (_ALL if bits & _SIGN else _SIGN)
    return STARTS + struct.pack(">Q", rank ^ _ALL) + run_id.encode()


class Head:
    """Where a run stands: what a list shows, and the hash of its last record. Never changed once it is made."""

    __slots__ = ("info", "tail")

    def __init__(self, info: RunInfo, tail: str) -> None:
        self.info = info
        self.tail = tail


def encode_head(head: Head) -> bytes:
    """CRC-32 in 8 hex digits, a blank, then JSON."""
    body = write((*_fields_of(head.info), head.tail)).encode()
    return b"%08x " % zlib.crc32(body) + body


def decode_head(data: bytes, run_id: str) -> Head:
    """Raises :class:`CorruptRecord`."""
    body = data[9:]
    if data[:9] != b"%08x " % zlib.crc32(body):
        raise CorruptRecord(run_id, -1, "the check sum of its head does not match")
    *fields, tail = json.loads(body)
    if fields[0] != run_id:
        raise CorruptRecord(run_id, -1, f"it has the head of run {fields[0]}")
    return Head(RunInfo(*fields), tail)


def encode_number(number: int) -> bytes:
    """As text, with its CRC-32."""
    body = str(number).encode()
    return b"%08x " % zlib.crc32(body) + body


def decode_number(data: bytes | None) -> int | None:
    """``None`` where there is none, or none that can be trusted."""
    if data is None or data[:9] != b"%08x " % zlib.crc32(data[9:]):
        return None
    return int(data[9:])
